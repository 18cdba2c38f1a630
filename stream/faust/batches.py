"""Pass fetched record batches whole to the thread that works on them.

aiokafka unpacks batches in the thread that fetches. Faust runs it in a second thread of the same interpreter, which
slows all work by a fifth. Here batches pass through that thread whole and are unpacked where they are processed.
aiokafka still handles aborted transactions and control batches.

The private names of aiokafka used here are checked by `tests/unit/stream/faust/test_contract.py`; aiokafka is pinned.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import PartitionRecords
from aiokafka.structs import TopicPartition

from schemas.record import Headers


class FetchedRecord(msgspec.Struct, frozen=True, gc=False):
    """A record with the fields of aiokafka's `ConsumerRecord` that are read here; made in a fifth of the time."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers


class WholeBatch:
    """A batch in the place of a record; all other attributes are those of aiokafka's batch."""

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

    def records(self, topic: str, partition: int, start: int) -> list[FetchedRecord]:
        """Unpack the batch and return its records from offset `start` on. Works once."""
        return [
            FetchedRecord(topic, partition, found.offset, found.timestamp, found.key, found.value, found.headers)
            for found in self._batch
            if found.offset >= start
        ]


def leave_whole(_: bytes) -> None:
    """Mark a consumer, as its value deserializer, to return `WholeBatch`es instead of records; never called."""
    raise TypeError("no record of this consumer is deserialized")


def take_apart(batches: Iterable[WholeBatch], topic: str, partition: int, start: int) -> list[FetchedRecord]:
    """Return the records of batches from an offset on."""
    return [record for batch in batches for record in batch.records(topic, partition, start)]


class _WholeBatches:
    """A fetched run of batches; each is returned with itself as its only record."""

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
    def _consumer_record(self, tp: TopicPartition, found: Any) -> FetchedRecord:
        return FetchedRecord(
            tp.topic, tp.partition, found.offset, found.timestamp, found.key, found.value, found.headers
        )


def _partition_records(
    tp: TopicPartition, records: Any, aborted: Any, offset: int, of_key: Any, of_value: Any, *others: Any
) -> PartitionRecords:
    made = _PartitionBatches if of_value is leave_whole else _PartitionRecords
    return made(tp, records, aborted, offset, of_key, of_value, *others)


def deliver_whole_batches() -> None:
    """Patch aiokafka, for all consumers of this process; may be called again.

    Consumers with the deserializer `leave_whole` return `WholeBatch`es from then on, all others `FetchedRecord`s.
    """
    fetcher.PartitionRecords = _partition_records
