"""Arrays in PostgreSQL's binary format, as parameters of a query: encoded fields are not converted again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg import AsyncCursor
from psycopg.adapt import Dumper
from psycopg.pq import Format

from sinks.postgres import copy


class UuidArray(bytes):
    """A uuid[]."""


class TextArray(bytes):
    """A text[]."""


class TimestamptzArray(bytes):
    """A timestamptz[]."""


class Int4Array(bytes):
    """An int4[]."""


class Int8Array(bytes):
    """An int8[]."""


def uuids(fields: Sequence[bytes]) -> UuidArray:
    """Make an array of the fields that `copy.uuid` returned."""
    return UuidArray(copy.array(copy.UUID_OID, fields))


def texts(fields: Sequence[bytes]) -> TextArray:
    """Make an array of the fields that `copy.text` returned."""
    return TextArray(copy.array(copy.TEXT_OID, fields))


def timestamps(fields: Sequence[bytes]) -> TimestamptzArray:
    """Make an array of the fields that `copy.timestamptz` returned."""
    return TimestamptzArray(copy.array(copy.TIMESTAMPTZ_OID, fields))


def int4s(fields: Sequence[bytes]) -> Int4Array:
    """Make an array of the fields that `copy.int4` returned."""
    return Int4Array(copy.array(copy.INT4_OID, fields))


def int8s(fields: Sequence[bytes]) -> Int8Array:
    """Make an array of the fields that `copy.int8` returned."""
    return Int8Array(copy.array(copy.INT8_OID, fields))


def take_arrays(cursor: AsyncCursor[Any]) -> None:
    """Allow the arrays above as parameters of a cursor's queries."""
    cursor.adapters.register_dumper(UuidArray, _UuidArrayDumper)
    cursor.adapters.register_dumper(TextArray, _TextArrayDumper)
    cursor.adapters.register_dumper(TimestamptzArray, _TimestamptzArrayDumper)
    cursor.adapters.register_dumper(Int4Array, _Int4ArrayDumper)
    cursor.adapters.register_dumper(Int8Array, _Int8ArrayDumper)


class _AsItIs(Dumper):
    format = Format.BINARY

    def dump(self, obj: bytes) -> bytes:
        return obj


class _UuidArrayDumper(_AsItIs):
    oid = 2951


class _TextArrayDumper(_AsItIs):
    oid = 1009


class _Int4ArrayDumper(_AsItIs):
    oid = 1007


class _Int8ArrayDumper(_AsItIs):
    oid = 1016


class _TimestamptzArrayDumper(_AsItIs):
    oid = 1185
