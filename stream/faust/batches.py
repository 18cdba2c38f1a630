"""Kafka's batches as they were fetched, taken apart where they are worked on.

aiokafka takes batches apart where it fetches. In Faust that is a thread beside the one that works, with which it
shares one interpreter: all work takes a fifth longer for it. So batches pass through that thread whole. What aiokafka
does with aborted transactions and control batches it still does.

What of aiokafka is used beyond its public names is held by `tests/unit/stream/test_faust_contract.py`; it is pinned.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import PartitionRecords
from aiokafka.structs import TopicPartition

from schemas.record import Headers


class Record(msgspec.Struct, frozen=True, gc=False):
    """aiokafka's record with the fields that anybody reads: made in a fifth of the time, for every record."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers


class WholeBatch:
    """A batch in the place of a record; everything else that is asked of it is the batch's own."""

    __slots__ = ("_batch", "offset")

    def __init__(self, batch: Any) -> None:
        self._batch = batch
        self.offset: int = batch.next_offset - 1

    def __iter__(self) -> Any:
        return iter((self,))

    def __next__(self) -> Any:
        return next(self._batch)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def records(self, topic: str, partition: int, start: int) -> list[Record]:
        """Take the batch apart; returns its records from an offset on. Can be done once."""
        return [
            Record(topic, partition, found.offset, found.timestamp, found.key, found.value, found.headers)
            for found in self._batch
            if found.offset >= start
        ]


def leave_whole(_: bytes) -> None:
    """Given to a consumer as its deserializer, makes it return a `WholeBatch` where others return a record."""
    raise TypeError("no record of this consumer is deserialized")


def take_apart(batches: Iterable[WholeBatch], topic: str, partition: int, start: int) -> list[Record]:
    """Return the records of batches from an offset on."""
    return [record for batch in batches for record in batch.records(topic, partition, start)]


class _WholeBatches:
    """A fetched run of batches, each of which is returned with itself as its only record."""

    def __init__(self, batches: Any) -> None:
        self._batches = batches
        self.has_next = batches.has_next

    def next_batch(self) -> WholeBatch:
        return WholeBatch(self._batches.next_batch())


class _PartitionBatches(PartitionRecords):  # type: ignore[misc]
    def __init__(self, tp: TopicPartition, batches: Any, *others: Any) -> None:
        super().__init__(tp, _WholeBatches(batches), *others)

    def _consumer_record(self, _: TopicPartition, batch: WholeBatch) -> WholeBatch:
        return batch


class _PartitionRecords(PartitionRecords):  # type: ignore[misc]
    def _consumer_record(self, tp: TopicPartition, found: Any) -> Record:
        return Record(tp.topic, tp.partition, found.offset, found.timestamp, found.key, found.value, found.headers)


def _partition_records(
    tp: TopicPartition, records: Any, aborted: Any, offset: int, of_key: Any, of_value: Any, *others: Any
) -> PartitionRecords:
    made = _PartitionBatches if of_value is leave_whole else _PartitionRecords
    return made(tp, records, aborted, offset, of_key, of_value, *others)


fetcher.PartitionRecords = _partition_records
