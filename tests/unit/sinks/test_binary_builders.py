"""Records and chunks for the tests of the sinks."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from schemas.record import Headers, RawRecord, Record
from schemas.session import SessionStatus, SessionSummary, encode_session
from schemas.verdict import Accepted, Code, Rejected, Violation, encode
from stream.runner.chunk import Chunk

MOMENT = datetime(2021, 1, 1, 9, 15, 27, 243860, UTC)


def a_record(value: bytes | None, *, offset: int = 0, key: bytes | None = b"s1", headers: Headers = ()) -> Record:
    return Record("some.topic", 0, offset, 1_609_492_527_000, key, value, headers)


def an_accepted_event(
    *,
    event_id: str | None = None,
    application: str = "shop",
    session_id: str = "s1",
    occurred_at: datetime = MOMENT,
    data: bytes = b"{}",
) -> Accepted:
    return Accepted(
        event_id=event_id or str(uuid.uuid4()),
        application=application,
        session_id=session_id,
        category="page interaction",
        name="pageview",
        occurred_at=occurred_at,
        received_at=MOMENT,
        schema_version=1,
        data=msgspec.Raw(data),
    )


def a_rejected_event(*, event_id: str | None = None, raw: str = "{}", session_id: str | None = None) -> Rejected:
    return Rejected(
        event_id=event_id or str(uuid.uuid4()),
        application="shop",
        session_id=session_id,
        category=None,
        name="pageview",
        timestamp="yesterday",
        received_at=MOMENT,
        errors=[
            Violation(Code.MISSING_FIELD, "$.data", "data is missing"),
            Violation(Code.BAD_TIMESTAMP, "$.timestamp", "not an ISO 8601 date and time"),
            Violation(Code.MISSING_FIELD, "$.category", "category is missing"),
        ],
        raw=raw,
    )


def a_verdict_record(verdict: Accepted | Rejected, *, offset: int = 0) -> Record:
    """Make a record as the stream writes it; its raw record is at ten times the offset in partition 3."""
    headers = [
        ("event_id", verdict.event_id.encode()),
        ("application", verdict.application.encode()),
        ("received_at", b"1609492527243"),
        ("source", b"events.raw:3:%d" % (offset * 10)),
    ]
    key = verdict.session_id.encode() if verdict.session_id is not None else None
    return a_record(encode(verdict), offset=offset, key=key, headers=headers)


def a_session_record(
    session_id: str = "s1", revision: int = 1, *, started_at: datetime | None = MOMENT, offset: int = 0
) -> Record:
    summary = SessionSummary(
        session_id=session_id,
        applications=["shop", "blog"],
        revision=revision,
        status=SessionStatus.OPEN,
        started_at=started_at,
        ended_at=started_at,
        event_count=revision,
        rejected_count=0,
        counts_by_type={"page interaction/pageview": revision},
        first_event_id="first",
        last_event_id=None,
        updated_at=MOMENT,
    )
    return a_record(encode_session(summary), offset=offset, key=session_id.encode())


def events(number: int) -> list[Record]:
    """Make records of different events with offsets from 0 on."""
    return [a_verdict_record(an_accepted_event(), offset=offset) for offset in range(number)]


def a_chunk(records: Sequence[RawRecord], *, start: int = 0, next_offset: int | None = None) -> Chunk:
    return Chunk("some.topic", 0, start, start + len(records) if next_offset is None else next_offset, records)
