"""The common part of all tables' rows: their record, their keys, and records that cannot be read."""

from __future__ import annotations

import struct
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Generic, NamedTuple, Protocol, TypeVar

import msgspec

from schemas.ids import is_uuid, row_id
from schemas.record import REDRIVE, REPLAY, SOURCE, Headers, RawRecord
from sinks.postgres import copy

_UNREADABLE = (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError, struct.error)
"""Exceptions raised by a value that no stream wrote."""


class Row(Protocol):
    """A row of any table; it knows the record that it was made of."""

    @property
    def record(self) -> RawRecord: ...


class Republication(NamedTuple):
    """The run that published a verdict again, and whether it is a redrive."""

    run: str
    redriven: bool


Source = tuple[bytes, bytes]
"""Partition and offset of a raw record, as fields."""


class VerdictRow(Row, Protocol):
    """A row of eye.events or eye.rejected_events."""

    @property
    def event_id(self) -> bytes: ...
    @property
    def application(self) -> bytes: ...
    @property
    def source(self) -> Source: ...
    @property
    def republished_by(self) -> Republication | None: ...


class Refused(NamedTuple):
    """A record that cannot be stored in its topic's table, and the reason."""

    record: RawRecord
    reason: str


R = TypeVar("R", bound=Row)
V = TypeVar("V", bound=VerdictRow)


@dataclass(frozen=True, slots=True)
class Rows(Generic[R]):
    """The rows of a chunk's records, no two with one key, and the records that cannot be read."""

    rows: list[R]
    refused: list[Refused]


def read_rows(records: Iterable[RawRecord], make_row: Callable[[RawRecord], R]) -> Rows[R]:
    """Make a row of each record that can be read; keys may occur more than once."""
    rows, refused = [], []
    for record in records:
        try:
            rows.append(make_row(record))
        except _UNREADABLE as error:
            refused.append(Refused(record, f"{type(error).__name__}: {error}"))
    return Rows(rows, refused)


def first_of_each(rows: Iterable[R], key: Callable[[R], Hashable]) -> list[R]:
    """Return the first row of each key, in order."""
    first: dict[Hashable, R] = {}
    for row in rows:
        first.setdefault(key(row), row)
    return list(first.values())


def verdict_rows(records: Iterable[RawRecord], make_row: Callable[[RawRecord], V]) -> Rows[V]:
    """Return the rows of verdicts; of equal events the first counts, those published again are kept apart."""
    found = read_rows(records, make_row)
    return Rows(first_of_each(found.rows, _verdict_key), found.refused)


def event_key(row: VerdictRow) -> bytes:
    """Return the key of an event: its id and its application."""
    return row.event_id + row.application


def _verdict_key(row: VerdictRow) -> Hashable:
    """Return the key of a verdict's row; a verdict that was published again belongs to its raw record."""
    return event_key(row) if row.republished_by is None else (event_key(row), row.source, row.republished_by.run)


def id_fields(application: str, event_id: str) -> tuple[bytes, bytes]:
    """Return the fields event_id and client_event_id; the second is NULL if the event's id is a UUID."""
    if is_uuid(event_id):
        return copy.uuid_text(event_id), copy.NULL
    return copy.uuid(row_id(application, event_id)), copy.text(event_id)


def origin(headers: Headers) -> tuple[Source, Republication | None]:
    """Return the position of a verdict's raw record, and the run that published the verdict again, if any."""
    if headers and headers[-1][0] == SOURCE:  # of an accepted event that was not published again; faster than by name
        return _source(headers[-1][1]), None
    found = dict(headers)
    run = found.get(REPLAY)
    republished_by = None if run is None else Republication(run.decode("utf-8", "replace"), REDRIVE in found)
    return _source(found.get(SOURCE, b"")), republished_by


def _source(header: bytes) -> Source:
    """Return partition and offset of the raw record as fields; both NULL if the header is unreadable."""
    try:
        _, partition, offset = header.rsplit(b":", 2)
        return _partition(partition), copy.int8(int(offset))
    except (ValueError, struct.error):
        return copy.NULL, copy.NULL


@lru_cache(maxsize=4096)
def _partition(number: bytes) -> bytes:
    return copy.int4(int(number))
