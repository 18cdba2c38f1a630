"""Encode PostgreSQL's binary COPY format: fields with their length before them, rows, the whole data.

A None is NULL in every field. The server refuses invalid values (U+0000 in a text, a jsonb that is not JSON).
The format: https://www.postgresql.org/docs/current/sql-copy.html
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from struct import Struct
from uuid import UUID

from msgspec import Raw

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"
INT4_OID, INT8_OID, TEXT_OID, TIMESTAMPTZ_OID, UUID_OID = 23, 20, 25, 1184, 2950

NULL = b"\xff\xff\xff\xff"

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_DAY_MICROSECONDS = 86_400_000_000

_length = Struct("!i").pack
_count = Struct("!h").pack
_bool = Struct("!i?").pack
_int4 = Struct("!ii").pack
_int8 = Struct("!iq").pack
_jsonb = Struct("!iB").pack
_dimensions = Struct("!iii").pack
_bounds = Struct("!ii").pack


def copy_data(rows: Iterable[bytes]) -> bytes:
    """Return the data of one COPY of these rows."""
    return b"".join((HEADER, *rows, TRAILER))


def row(*fields: bytes) -> bytes:
    """Return a row of fields made by the functions below."""
    return _count(len(fields)) + b"".join(fields)


def uuid(value: UUID) -> bytes:
    """Return a uuid field."""
    return b"\0\0\0\x10" + value.bytes


def uuid_text(value: str) -> bytes:
    """Return a uuid field, given a UUID in canonical form."""
    return b"\0\0\0\x10" + bytes.fromhex(value.replace("-", ""))


def text(value: str | None) -> bytes:
    """Return a text field. Raises UnicodeEncodeError on half of a surrogate pair."""
    if value is None:
        return NULL
    encoded = value.encode()
    return _length(len(encoded)) + encoded


def boolean(value: bool | None) -> bytes:
    """Return a boolean field."""
    return NULL if value is None else _bool(1, value)


def int4(value: int | None) -> bytes:
    """Return an integer field. Raises struct.error beyond 32 bits."""
    return NULL if value is None else _int4(4, value)


def int8(value: int | None) -> bytes:
    """Return a bigint field. Raises struct.error beyond 64 bits."""
    return NULL if value is None else _int8(8, value)


def timestamptz(value: datetime | None) -> bytes:
    """Return a timestamptz field of an aware time, to the microsecond."""
    if value is None:
        return NULL
    since = value - _EPOCH
    return _int8(8, since.days * _DAY_MICROSECONDS + since.seconds * 1_000_000 + since.microseconds)


def jsonb(json: bytes | Raw) -> bytes:
    """Return a jsonb field of JSON text."""
    return b"".join((_jsonb(len(json) + 1, 1), json))


def text_array(values: Iterable[str]) -> bytes:
    """Return a text[] field."""
    encoded = array(TEXT_OID, [text(value) for value in values])
    return _length(len(encoded)) + encoded


def array(element_oid: int, fields: Sequence[bytes]) -> bytes:
    """Return an array of fields of one type without a length before it, as parameters of a query are sent."""
    if not fields:
        return _dimensions(0, 0, element_oid)
    return b"".join((_dimensions(1, 0, element_oid), _bounds(len(fields), 1), *fields))
