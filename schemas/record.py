"""A record of Kafka as the rules see it, and the names of its headers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Literal, NamedTuple, Protocol

import msgspec

from schemas.ids import MAX_EVENT_ID, source_id

EVENT_ID = "event_id"
APPLICATION = "application"
RECEIVED_AT = "received_at"
TRACEPARENT = "traceparent"
GATEWAY_HEADERS = (EVENT_ID, APPLICATION, RECEIVED_AT, TRACEPARENT)
"""The headers of a gateway's record, in this order; those below follow where there is something to say."""

SENT_AT = "sent_at"
"""The sender's clock when it sent the request, in milliseconds since 1970, where the request says so."""
UNKNOWN_EVENT_TYPES = "unknown_event_types"
"""What becomes of an event whose type the catalogue lacks, where its application states it."""

UnknownTypes = Literal["reject", "accept"]
"""What may become of an event whose type the catalogue lacks."""

CATEGORY = "category"
NAME = "name"
SCHEMA_VERSION = "schema_version"
SOURCE = "source"
CODES = "codes"
REVISION = "revision"
REPLAY = "replay"
"""The run that published a verdict again; it replaces earlier verdicts on the same raw record. Later runs have greater
ids."""
REDRIVE = "redrive"
"""Set beside `replay` when an operator corrected the event; the rejected event is kept and marked."""

UNKNOWN_APPLICATION = "unknown"

MAX_APPLICATION = 128
"""Longest id of an application, in characters."""

_MAX_HEADERS_BYTES = 2048
"""Limit for headers that a verdict copies: a gateway's fit, others could make the verdict too large to write."""

MAX_MILLIS = 221_845_392_000_000
"""The latest time of reception, the start of the year 9000: windows reach beyond it."""

Headers = Sequence[tuple[str, bytes]]


class RawRecord(Protocol):
    """A record of `events.raw`; aiokafka's `ConsumerRecord` is one.

    `timestamp` is in milliseconds since 1970 UTC, as Kafka keeps it.
    """

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Headers: ...


@dataclass(frozen=True, slots=True)
class Record:
    """A record made in this process; it satisfies `RawRecord`."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers


def source_of(record: RawRecord) -> str:
    """Return a record's position as `topic:partition:offset`."""
    return f"{record.topic}:{record.partition}:{record.offset}"


def place(topic: str, partition: int, offset: int | None = None) -> dict[str, str | int]:
    """Return the position of a record, or a partition, as the fields of a log line."""
    found: dict[str, str | int] = {"topic": topic, "partition": partition}
    return found if offset is None else found | {"offset": offset}


def log_fields(record: RawRecord) -> dict[str, str | int]:
    """Return a record's position and event_id as the fields of a log line; nothing of its value."""
    where = place(record.topic, record.partition, record.offset)
    return where | {"event_id": open_envelope(record).event_id}


def from_millis(millis: int) -> datetime:
    """Return the UTC time of milliseconds since 1970. Raises ValueError or OverflowError out of range."""
    return datetime.fromtimestamp(millis / 1000, UTC)


def to_millis(moment: datetime) -> int:
    """Return milliseconds since 1970, rounded to the nearest."""
    return round(moment.timestamp() * 1000)


def place_in_source(headers: Headers) -> tuple[int, int] | None:
    """Return partition and offset of a verdict's raw record, None without a readable source header."""
    try:
        _, partition, offset = dict(headers)[SOURCE].rsplit(b":", 2)
        return int(partition), int(offset)
    except (KeyError, ValueError):
        return None


class Envelope(msgspec.Struct, frozen=True, gc=False):
    """The headers of a raw record, decoded.

    A record that no gateway wrote has the application `unknown`, the record's own time, and an event_id made of its
    position. `headers` are those of a gateway, which the verdict copies; None for other records. `sent_at` is when the
    request was sent by its sender's clock; `accept_unknown`: what the application states of unknown event types.
    """

    event_id: str
    application: str
    received_at: datetime
    key: bytes | None
    headers: Headers | None
    sent_at: datetime | None = None
    accept_unknown: bool | None = None


def open_envelope(raw: RawRecord) -> Envelope:
    """Decode a raw record's headers. Never fails: an unreadable header counts as absent."""
    headers, more = raw.headers, _NO_HEADERS
    if 4 < len(headers) <= 6:
        headers, more = headers[:4], headers[4:]
    if len(headers) == 4:  # nearly always, and faster than by name
        (first, event_id), (second, application), (third, received_at), (fourth, traceparent) = headers
        names = first, second, third, fourth
        if names == GATEWAY_HEADERS and event_id and application and received_at and traceparent:
            who, when = _read(application, received_at)
            size = len(event_id) + len(application) + len(received_at) + len(traceparent)
            if when is not None and size <= _MAX_HEADERS_BYTES:
                if not more:
                    return Envelope(_text(event_id), who, when, raw.key, headers)
                said = said_in(more)
                copied = [*headers, *said.headers]
                return Envelope(_text(event_id), who, when, raw.key, copied, said.sent_at, said.accept_unknown)
    found, said = dict(raw.headers), said_in(raw.headers)
    who, when = _read(found.get(APPLICATION), found.get(RECEIVED_AT))
    return Envelope(
        _text(found.get(EVENT_ID) or b"") or source_id(source_of(raw)),
        who,
        when or from_millis(min(max(raw.timestamp, 0), MAX_MILLIS)),
        raw.key,
        None,
        said.sent_at,
        said.accept_unknown,
    )


class Said(NamedTuple):
    """The headers that only some records have, decoded, and those of them that can be read."""

    sent_at: datetime | None
    accept_unknown: bool | None
    headers: Headers


def said_in(headers: Headers) -> Said:
    """Decode the headers that only some records have. Never fails: an unreadable header counts as absent."""
    found = dict(headers)
    return _said(found.get(SENT_AT), found.get(UNKNOWN_EVENT_TYPES))


def _text(header: bytes, most: int = MAX_EVENT_ID) -> str:
    text = header.decode("utf-8", "replace")
    return text if len(text) <= most and "\0" not in text else text[:most].replace("\0", "\N{REPLACEMENT CHARACTER}")


@lru_cache(maxsize=4096)
def _read(application: bytes | None, received_at: bytes | None) -> tuple[str, datetime | None]:
    """Decode the headers that the records of one request have in common."""
    return _text(application or b"", MAX_APPLICATION) or UNKNOWN_APPLICATION, _moment(received_at or b"")


@lru_cache(maxsize=4096)
def _said(sent_at: bytes | None, unknown_event_types: bytes | None) -> Said:
    moment, accept_unknown = _any_moment(sent_at or b""), _ACCEPTS.get(unknown_event_types or b"")
    headers = [] if moment is None else [(SENT_AT, b"%d" % to_millis(moment))]
    if accept_unknown is not None:
        headers.append((UNKNOWN_EVENT_TYPES, unknown_event_types or b""))
    return Said(moment, accept_unknown, headers)


def _moment(header: bytes) -> datetime | None:
    try:
        millis = int(header)
    except ValueError:
        return None
    return from_millis(millis) if 0 <= millis <= MAX_MILLIS else None


def _any_moment(header: bytes) -> datetime | None:
    """Decode a moment by a clock that may be wrong by years."""
    try:
        return from_millis(int(header))
    except (ValueError, OverflowError, OSError):
        return None


_NO_HEADERS: Headers = ()
_ACCEPTS: dict[bytes, bool] = {b"accept": True, b"reject": False}
