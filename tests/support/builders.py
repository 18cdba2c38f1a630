"""Test data of the stages: events as sent, raw records, verdicts, sessions, chunks, each with fixed values."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from schemas.event_types.form_interaction import Submit
from schemas.event_types.page_interaction import CtaClick, Pageview
from schemas.record import Headers, RawRecord, Record, to_millis
from schemas.rules import Rules
from schemas.settings import Settings
from schemas.verdict import Accepted, Code, Rejected, Violation
from stream.runner.chunk import Chunk

OCCURRED = datetime(2021, 1, 1, 9, 15, 27, 243860, UTC)
RECEIVED = datetime(2021, 1, 1, 9, 15, 30, tzinfo=UTC)
TRACEPARENT = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

PAGEVIEW, CTA_CLICK, SUBMIT = (
    {"category": model.event_category, "name": model.event_name} for model in (Pageview, CtaClick, Submit)
)


def an_event(**changes: Any) -> dict[str, Any]:
    """Return an event as sent, of session `s-1`: a pageview that keeps every rule."""
    return {
        "session_id": "s-1",
        **PAGEVIEW,
        "timestamp": "2021-01-01 09:15:27.243860",
        "data": {"host": "www.example.com", "path": "/"},
    } | changes


def a_raw_record(
    event: Any = None,
    *,
    value: bytes | None = None,
    key: bytes | None = b"s-1",
    event_id: str = "e-1",
    application: str = "shop",
    received_at: datetime = RECEIVED,
    headers: Headers | None = None,
    offset: int = 0,
    partition: int = 0,
    topic: str = "events.raw",
) -> Record:
    """Return a record as the gateway writes it: of an event, or of any bytes (`value`)."""
    if value is None:
        value = json.dumps(an_event() if event is None else event).encode()
    if headers is None:
        headers = gateway_headers(event_id, application, received_at)
    return Record(topic, partition, offset, to_millis(received_at), key, value, headers)


def gateway_headers(
    event_id: str = "e-1",
    application: str = "shop",
    received_at: datetime = RECEIVED,
    *,
    sent_at: datetime | None = None,
    unknown_event_types: str | None = None,
) -> Headers:
    """Return the headers that the gateway writes, in its order; the last two where there is something to say."""
    sent = [] if sent_at is None else [("sent_at", str(to_millis(sent_at)).encode())]
    stated = [] if unknown_event_types is None else [("unknown_event_types", unknown_event_types.encode())]
    return [
        ("event_id", event_id.encode()),
        ("application", application.encode()),
        ("received_at", str(to_millis(received_at)).encode()),
        ("traceparent", TRACEPARENT),
        *sent,
        *stated,
    ]


def an_accepted(
    *,
    event_id: str = "e-1",
    application: str = "shop",
    session_id: str = "s-1",
    category: str = "page interaction",
    name: str = "pageview",
    occurred_at: datetime = OCCURRED,
    received_at: datetime = RECEIVED,
    data: bytes = b"{}",
) -> Accepted:
    """Return an event that kept every rule."""
    return Accepted(
        event_id=event_id,
        application=application,
        session_id=session_id,
        category=category,
        name=name,
        occurred_at=occurred_at,
        received_at=received_at,
        schema_version=1,
        data=msgspec.Raw(data),
    )


def a_rejected(
    *,
    event_id: str = "e-1",
    application: str = "shop",
    session_id: str | None = "s-1",
    received_at: datetime = RECEIVED,
    errors: Sequence[Violation] = (Violation(Code.MISSING_FIELD, "$.data", "data is missing"),),
) -> Rejected:
    """Return an event that broke a rule."""
    return Rejected(
        event_id=event_id,
        application=application,
        session_id=session_id,
        category=None,
        name=None,
        timestamp=None,
        received_at=received_at,
        errors=list(errors),
        raw="{}",
    )


def a_chunk(records: Sequence[RawRecord], *, start: int | None = None, next_offset: int | None = None) -> Chunk:
    """Return the chunk of these records; without any, an empty stretch from `start` to `next_offset`."""
    if start is None:
        start = records[0].offset
    if next_offset is None:
        next_offset = records[-1].offset + 1
    topic, partition = (records[0].topic, records[0].partition) if records else ("events.raw", 0)
    return Chunk(topic, partition, start, next_offset, records)


def the_rules(**changes: Any) -> Rules:
    """Return the rules of a deployment whose settings are the defaults, but for these."""
    return Settings(**changes).rules()


def after(seconds: float) -> datetime:
    """Return the moment that many seconds after `RECEIVED`."""
    return RECEIVED + timedelta(seconds=seconds)
