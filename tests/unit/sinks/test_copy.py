"""The binary COPY format, byte by byte. What Postgres makes of it: tests/integration/sinks/test_round_trip.py."""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import msgspec
import pytest

from sinks.postgres import copy


def test_the_whole_has_signature_flags_rows_and_trailer() -> None:
    assert copy.copy_data([b"row"]) == b"PGCOPY\n\xff\r\n\x00" + b"\x00" * 8 + b"row" + b"\xff\xff"


def test_a_row_begins_with_the_number_of_its_fields() -> None:
    assert copy.row(copy.NULL, copy.int4(7)) == b"\x00\x02" + b"\xff\xff\xff\xff" + b"\x00\x00\x00\x04\x00\x00\x00\x07"


def test_a_text_is_measured_in_bytes() -> None:
    assert copy.text("né") == b"\x00\x00\x00\x03n\xc3\xa9"


def test_none_is_null_and_an_empty_text_is_not() -> None:
    nulls = [copy.text(None), copy.int4(None), copy.int8(None), copy.boolean(None), copy.timestamptz(None)]

    assert set(nulls) == {copy.NULL}
    assert copy.text("") == b"\x00\x00\x00\x00"


@pytest.mark.parametrize(
    ("moment", "microseconds"),
    [
        (datetime(2000, 1, 1, tzinfo=UTC), 0),
        (datetime(2000, 1, 1, 0, 0, 0, 1, UTC), 1),
        (datetime(1999, 12, 31, 23, 59, 59, 999_999, UTC), -1),
        (datetime(2000, 1, 1, 2, tzinfo=timezone(timedelta(hours=1))), 3_600_000_000),
    ],
)
def test_a_time_is_microseconds_since_2000_utc(moment: datetime, microseconds: int) -> None:
    assert copy.timestamptz(moment) == struct.pack("!iq", 8, microseconds)


def test_a_time_without_offset_is_an_error_and_no_guess() -> None:
    with pytest.raises(TypeError):
        copy.timestamptz(datetime(2021, 1, 1))


def test_json_goes_out_as_it_came_behind_its_version() -> None:
    assert copy.jsonb(msgspec.Raw(b'{"a": 1.0}')) == b'\x00\x00\x00\x0b\x01{"a": 1.0}'


def test_a_uuid_is_sixteen_bytes() -> None:
    assert copy.uuid(UUID(int=1)) == b"\x00\x00\x00\x10" + b"\x00" * 15 + b"\x01"


def test_an_array_says_its_dimensions_and_its_type() -> None:
    assert copy.text_array(["a"]) == struct.pack("!iiiiiii", 25, 1, 0, copy.TEXT_OID, 1, 1, 1) + b"a"
    assert copy.text_array([]) == struct.pack("!iiii", 12, 0, 0, copy.TEXT_OID)


def test_a_number_beyond_its_type_is_an_error() -> None:
    with pytest.raises(struct.error):
        copy.int4(2**31)
