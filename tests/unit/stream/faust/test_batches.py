"""Batches as they were fetched: what passes for records until they are taken apart."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from stream.faust.batches import FetchedRecord, deliver_whole_batches, leave_whole, take_apart

TP = TopicPartition("events.raw", 2)
HEADERS = [("event_id", b"e-1")]


@pytest.fixture(autouse=True)
def patched_aiokafka() -> None:
    deliver_whole_batches()


def a_batch(first: int, *values: bytes) -> bytes:
    """Make a batch as Kafka returns it, its records from an offset on."""
    builder = BatchBuilder(100_000, 0, is_transactional=False)
    for value in values:
        assert builder.append(timestamp=1_609_492_527_000 + first, key=b"k", value=value, headers=HEADERS)
    return struct.pack(">q", first) + bytes(builder._build())[8:]


def fetched(data: bytes, offset: int, **changes: Any) -> Any:
    """Return a partition's records, or batches, as aiokafka fetches them from an offset on."""
    deserializer = changes.get("deserializer", leave_whole)
    return fetcher.PartitionRecords(TP, MemoryRecords(data), [], offset, None, deserializer, True, 1)


def taken(batches: list[Any], start: int) -> list[tuple[int, bytes | None]]:
    return [(record.offset, record.value) for record in take_apart(batches, TP.topic, TP.partition, start)]


def test_batches_pass_whole_and_are_taken_apart_in_order() -> None:
    found = fetched(a_batch(5, b"a", b"b") + a_batch(9, b"c"), 5)

    batches = list(found)

    assert (len(batches), found.next_fetch_offset) == (2, 10)
    assert take_apart(batches, TP.topic, TP.partition, 5) == [
        FetchedRecord("events.raw", 2, offset, 1_609_492_527_000 + first, b"k", value, HEADERS)
        for offset, first, value in ((5, 5, b"a"), (6, 5, b"b"), (9, 9, b"c"))
    ]


def test_reading_begins_in_the_middle_of_a_batch() -> None:
    batches = list(fetched(a_batch(3, b"a") + a_batch(5, b"b", b"c") + a_batch(7, b"d"), 6))

    assert taken(batches, 6) == [(6, b"c"), (7, b"d")]


def test_other_consumers_still_get_records() -> None:
    found = fetched(a_batch(5, b"a", b"b"), 6, deserializer=None)

    assert list(found) == [FetchedRecord("events.raw", 2, 6, 1_609_492_527_005, b"k", b"b", HEADERS)]


def test_a_corrupt_batch_is_not_let_through() -> None:
    data = bytearray(a_batch(5, b"a", b"b"))
    data[-1] ^= 1

    with pytest.raises(CorruptRecordException):
        list(fetched(bytes(data), 5))
