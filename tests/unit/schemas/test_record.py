"""The envelope of a raw record: what the headers say, and what stands in for them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schemas.ids import source_id
from schemas.record import Envelope, from_millis, open_envelope, to_millis
from tests.support.builders import RECEIVED, a_raw_record, gateway_headers

RECEIVED_MS = to_millis(RECEIVED)
NINES = b"9" * 5_000


def test_the_gateways_headers_are_read() -> None:
    headers = gateway_headers("e-7", "blog")

    assert open_envelope(a_raw_record(headers=headers)) == Envelope("e-7", "blog", RECEIVED, b"s-1", headers)


def test_without_headers_a_record_speaks_for_itself() -> None:
    envelope = open_envelope(a_raw_record(headers=[], partition=3, offset=17, key=None))

    assert envelope == Envelope(source_id("events.raw:3:17"), "unknown", RECEIVED, None, None)


def test_two_places_make_two_ids_and_one_place_makes_one() -> None:
    ids = [open_envelope(a_raw_record(headers=[], offset=offset)).event_id for offset in (1, 2, 1)]

    assert ids[0] == ids[2] != ids[1]


@pytest.mark.parametrize(
    "value", [b"", b"soon", b"1.5", b"\xff", NINES, b"-" + NINES, b"253402300800000", b"-62135596800001"]
)
def test_a_time_that_is_none_counts_as_absent(value: bytes) -> None:
    assert open_envelope(a_raw_record(headers=[("received_at", value)])).received_at == RECEIVED


@pytest.mark.parametrize("millis", [-62_135_596_800_000, 253_402_300_799_999, 2**62])
@pytest.mark.parametrize("by_header", [True, False])
def test_a_time_of_reception_has_a_before_and_an_after(millis: int, by_header: bool) -> None:
    """The stream counts windows from it, in both directions: it must not stand at an end of the calendar."""
    headers = [("received_at", str(millis).encode())] if by_header else []
    record = replace(a_raw_record(headers=headers), timestamp=RECEIVED_MS if by_header else millis)

    received_at = open_envelope(record).received_at

    assert received_at - timedelta(days=365) < received_at < received_at + timedelta(days=365)


@pytest.mark.parametrize("name", ["event_id", "application", "received_at"])
def test_a_header_without_a_value_counts_as_absent(name: str) -> None:
    headers: Any = [(name, None)]

    assert open_envelope(a_raw_record(headers=headers)) == open_envelope(a_raw_record(headers=[]))


def test_unstorable_characters_are_replaced_and_long_text_is_cut() -> None:
    envelope = open_envelope(a_raw_record(headers=[("event_id", b"a\0\xff"), ("application", "é".encode() * 200)]))

    assert envelope.event_id == "a\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}"
    assert envelope.application == "é" * 128


def test_of_a_header_that_comes_twice_the_last_counts() -> None:
    assert open_envelope(a_raw_record(headers=[("event_id", b"one"), ("event_id", b"two")])).event_id == "two"


def test_a_time_before_the_epoch_is_the_epoch() -> None:
    record = replace(a_raw_record(headers=[]), timestamp=-1)

    assert open_envelope(record).received_at == datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("millis", [0, 1, 999, 1_609_492_527_243, 4_102_444_800_123])
def test_milliseconds_survive_the_way_there_and_back(millis: int) -> None:
    assert to_millis(from_millis(millis)) == millis
