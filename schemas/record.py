"""A record of Kafka as the rules see it, and the names of its headers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol

import msgspec

from schemas.ids import source_id

EVENT_ID = "event_id"
APPLICATION = "application"
RECEIVED_AT = "received_at"
TRACEPARENT = "traceparent"
GATEWAY_HEADERS = (EVENT_ID, APPLICATION, RECEIVED_AT, TRACEPARENT)
"""The headers of a gateway's record, in this order."""

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
    position. `headers` are those of a gateway, which the verdict copies; None for other records.
    """

    event_id: str
    application: str
    received_at: datetime
    key: bytes | None
    headers: Headers | None


def open_envelope(raw: RawRecord) -> Envelope:
    """Decode a raw record's headers. Never fails: an unreadable header counts as absent."""
    headers = raw.headers
    if len(headers) == 4:  # nearly always, and faster than by name
        (first, event_id), (second, application), (third, received_at), (fourth, traceparent) = headers
        names = first, second, third, fourth
        if names == GATEWAY_HEADERS and event_id and application and received_at and traceparent:
            who, when = _read(application, received_at)
            size = len(event_id) + len(application) + len(received_at) + len(traceparent)
            if when is not None and size <= _MAX_HEADERS_BYTES:
                return Envelope(_text(event_id), who, when, raw.key, headers)
    found = dict(headers)
    who, when = _read(found.get(APPLICATION), found.get(RECEIVED_AT))
    return Envelope(
        _text(found.get(EVENT_ID) or b"") or source_id(source_of(raw)),
        who,
        when or from_millis(min(max(raw.timestamp, 0), MAX_MILLIS)),
        raw.key,
        None,
    )


def _text(header: bytes) -> str:
    text = header.decode("utf-8", "replace")
    return text if len(text) <= 128 and "\0" not in text else text[:128].replace("\0", "\N{REPLACEMENT CHARACTER}")


@lru_cache(maxsize=4096)
def _read(application: bytes | None, received_at: bytes | None) -> tuple[str, datetime | None]:
    """Decode the headers that the records of one request have in common."""
    return _text(application or b"") or UNKNOWN_APPLICATION, _moment(received_at or b"")


def _moment(header: bytes) -> datetime | None:
    try:
        millis = int(header)
    except ValueError:
        return None
    return from_millis(millis) if 0 <= millis <= MAX_MILLIS else None
