"""Arrays in PostgreSQL's binary form, as parameters of a query: nothing is converted once more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg import AsyncCursor
from psycopg.adapt import Dumper
from psycopg.pq import Format

from sinks import copy


class UuidArray(bytes):
    """A uuid[]."""


class TextArray(bytes):
    """A text[]."""


class TimestamptzArray(bytes):
    """A timestamptz[]."""


def uuids(fields: Sequence[bytes]) -> UuidArray:
    """Make an array of the fields that `copy.uuid` returned."""
    return UuidArray(copy.array(copy.UUID_OID, fields))


def texts(fields: Sequence[bytes]) -> TextArray:
    """Make an array of the fields that `copy.text` returned."""
    return TextArray(copy.array(copy.TEXT_OID, fields))


def timestamps(fields: Sequence[bytes]) -> TimestamptzArray:
    """Make an array of the fields that `copy.timestamptz` returned."""
    return TimestamptzArray(copy.array(copy.TIMESTAMPTZ_OID, fields))


def take_arrays(cursor: AsyncCursor[Any]) -> None:
    """Let a cursor take the arrays above as parameters."""
    cursor.adapters.register_dumper(UuidArray, _UuidArrayDumper)
    cursor.adapters.register_dumper(TextArray, _TextArrayDumper)
    cursor.adapters.register_dumper(TimestamptzArray, _TimestamptzArrayDumper)


class _AsItIs(Dumper):
    format = Format.BINARY

    def dump(self, obj: bytes) -> bytes:
        return obj


class _UuidArrayDumper(_AsItIs):
    oid = 2951


class _TextArrayDumper(_AsItIs):
    oid = 1009


class _TimestamptzArrayDumper(_AsItIs):
    oid = 1185
