"""From the records of a chunk to rows, ready for COPY."""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Generic, Literal, NamedTuple, Protocol, TypeVar

import msgspec

from schemas.event import MAX_TEXT
from schemas.ids import is_uuid, row_id
from schemas.json_reader import replace_unstorable
from schemas.record import CATEGORY, NAME, REDRIVE, REPLAY, SOURCE, Headers, RawRecord, open_envelope
from schemas.session import decode_session
from schemas.verdict import Code, Rejected, Violation, decode_accepted, decode_rejected
from sinks.postgres import copy

_UNREADABLE = (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError, struct.error)
"""What a value may raise that no stream wrote."""

_MAX_REASON = 1024
_FIRST_TIME_HEADERS = 8
"""So many headers has an accepted event, the source being the last; one that was published again has more."""


class Row(Protocol):
    """What every row knows: the record it was made of."""

    @property
    def record(self) -> RawRecord: ...


class Judged(NamedTuple):
    """By what a verdict was published again: the run, and whether it is a redrive."""

    run: str
    redriven: bool


Source = tuple[bytes, bytes]
"""Partition and offset of a raw record, as fields."""


class EventRow(msgspec.Struct, frozen=True, gc=False):
    """A row of eye.events, and the fields of its row in eye.event_keys."""

    event_id: bytes
    application: bytes
    occurred_at: bytes
    copied: bytes
    record: RawRecord
    source: Source
    judged: Judged | None


class RejectedRow(msgspec.Struct, frozen=True, gc=False):
    """A row of eye.rejected_events, and the fields of its key."""

    event_id: bytes
    application: bytes
    copied: bytes
    record: RawRecord
    source: Source
    judged: Judged | None


def event_key(row: EventRow | RejectedRow) -> bytes:
    """Return what an event is known by: its id and its application."""
    return row.event_id + row.application


def row_key(row: EventRow | RejectedRow) -> Hashable:
    """Return what a row is known by: a verdict that was published again belongs to its raw record."""
    return event_key(row) if row.judged is None else (event_key(row), row.source, row.judged.run)


class SessionRow(msgspec.Struct, frozen=True, gc=False):
    """A row of eye.sessions."""

    session_id: str
    revision: int
    copied: bytes
    record: RawRecord


class Refused(NamedTuple):
    """A record that can't be stored as what its topic says, and why."""

    record: RawRecord
    reason: str


R = TypeVar("R", bound=Row)


@dataclass(frozen=True, slots=True)
class Rows(Generic[R]):
    """What the records of a chunk come to: rows, no two with one key, and what can't be read."""

    rows: list[R]
    refused: list[Refused]


def event_rows(records: Iterable[RawRecord]) -> Rows[EventRow]:
    """Return the rows of `events.validated`; of an event that comes again the first counts, replays apart."""
    rows, refused = _read(records, _event_row)
    return Rows(_first_of_each(rows, row_key), refused)


def rejected_rows(records: Iterable[RawRecord]) -> Rows[RejectedRow]:
    """Return the rows of `events.rejected`; of an event that comes again the first counts, replays apart."""
    rows, refused = _read(records, lambda record: _rejected_row(decode_rejected(record.value or b""), record))
    return Rows(_first_of_each(rows, row_key), refused)


def session_rows(records: Iterable[RawRecord]) -> Rows[SessionRow]:
    """Return the rows of `sessions`, the newest revision of each; a tombstone is none."""
    rows, refused = _read((record for record in records if record.value is not None), _session_row)
    rows.sort(key=lambda row: row.revision, reverse=True)
    return Rows(_first_of_each(rows, lambda row: row.session_id), refused)


def refused_row(refused: Refused) -> RejectedRow:
    """Return the row that sets a refused record aside: code `bad_value`, the reason, the value as it came."""
    record, envelope, headers = refused.record, open_envelope(refused.record), dict(refused.record.headers)
    raw, encoding = _as_text(record.value or b"")
    verdict = Rejected(
        event_id=envelope.event_id,
        application=envelope.application,
        session_id=_storable(record.key),
        category=_storable(headers.get(CATEGORY)),
        name=_storable(headers.get(NAME)),
        timestamp=None,
        received_at=envelope.received_at,
        errors=[Violation(Code.BAD_VALUE, "$", replace_unstorable(refused.reason)[:_MAX_REASON])],
        raw=raw,
        raw_encoding=encoding,
    )
    return _rejected_row(verdict, record)


def _read(records: Iterable[RawRecord], make: Callable[[RawRecord], R]) -> tuple[list[R], list[Refused]]:
    rows, refused = [], []
    for record in records:
        try:
            rows.append(make(record))
        except _UNREADABLE as error:
            refused.append(Refused(record, f"{type(error).__name__}: {error}"))
    return rows, refused


def _first_of_each(rows: Iterable[R], key: Callable[[R], Hashable]) -> list[R]:
    first: dict[Hashable, R] = {}
    for row in rows:
        first.setdefault(key(row), row)
    return list(first.values())


def _event_row(record: RawRecord) -> EventRow:
    event = decode_accepted(record.value or b"")
    event_id, client_event_id = _ids(event.application, event.event_id)
    application = _label(event.application)
    occurred_at = copy.timestamptz(event.occurred_at)
    source, judged = _origin(record.headers)
    copied = copy.row(
        event_id,
        application,
        copy.text(event.session_id),
        _label(event.category),
        _label(event.name),
        occurred_at,
        copy.timestamptz(event.received_at),
        copy.int4(event.schema_version),
        copy.jsonb(event.data),
        *source,
        copy.text(client_event_id),
    )
    return EventRow(event_id, application, occurred_at, copied, record, source, judged)


def _rejected_row(event: Rejected, record: RawRecord) -> RejectedRow:
    event_id, client_event_id = _ids(event.application, event.event_id)
    application = copy.text(event.application)
    source, judged = _origin(record.headers)
    copied = copy.row(
        event_id,
        application,
        copy.text(event.session_id),
        copy.text(event.category),
        copy.text(event.name),
        copy.text(event.timestamp),
        copy.timestamptz(event.received_at),
        copy.text_array(event.codes),
        copy.jsonb(msgspec.json.encode(event.errors)),
        copy.text(event.raw),
        copy.text(event.raw_encoding),
        copy.boolean(event.raw_truncated),
        *source,
        copy.text(client_event_id),
    )
    return RejectedRow(event_id, application, copied, record, source, judged)


def _session_row(record: RawRecord) -> SessionRow:
    session = decode_session(record.value or b"")
    copied = copy.row(
        copy.text(session.session_id),
        copy.text_array(session.applications),
        copy.int8(session.revision),
        copy.text(session.status),
        copy.timestamptz(session.started_at),
        copy.timestamptz(session.ended_at),
        copy.int8(session.event_count),
        copy.int8(session.rejected_count),
        copy.jsonb(msgspec.json.encode(session.counts_by_type)),
        copy.text(session.first_event_id),
        copy.text(session.last_event_id),
        copy.timestamptz(session.updated_at),
    )
    return SessionRow(session.session_id, session.revision, copied, record)


def _ids(application: str, event_id: str) -> tuple[bytes, str | None]:
    """Return the id of an event's row, as a field, and the event's own where that is no UUID."""
    if is_uuid(event_id):
        return copy.uuid_text(event_id), None
    return copy.uuid(row_id(application, event_id)), event_id


def _origin(headers: Headers) -> tuple[Source, Judged | None]:
    """Return where a verdict's raw record stands, and by what the verdict was published again, None the first time."""
    if len(headers) == _FIRST_TIME_HEADERS and headers[-1][0] == SOURCE:  # nearly always, and faster than by name
        return _source(headers[-1][1]), None
    found = dict(headers)
    run = found.get(REPLAY)
    judged = None if run is None else Judged(run.decode("utf-8", "replace"), REDRIVE in found)
    return _source(found.get(SOURCE, b"")), judged


def _source(header: bytes) -> Source:
    """Return partition and offset of the raw record as fields, NULL where the header does not tell."""
    try:
        _, partition, offset = header.rsplit(b":", 2)
        return _partition(partition), copy.int8(int(offset))
    except (ValueError, struct.error):
        return copy.NULL, copy.NULL


@lru_cache(maxsize=4096)
def _partition(number: bytes) -> bytes:
    return copy.int4(int(number))


# applications and event types are few, and stand in every row
_label = lru_cache(maxsize=4096)(copy.text)


def _storable(text: bytes | None) -> str | None:
    return None if text is None else replace_unstorable(text.decode("utf-8", "replace"))[:MAX_TEXT]


def _as_text(value: bytes) -> tuple[str, Literal["utf-8", "base64"]]:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = "\0"
    return (base64.b64encode(value).decode(), "base64") if "\0" in text else (text, "utf-8")
