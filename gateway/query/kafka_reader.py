"""Read records that Kafka already has, within bounds of time and bytes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import datetime
from typing import Any, Self

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError, KafkaConnectionError

from kafka_client.cluster_guard import ClusterGuard, ForeignCluster, guarded
from kafka_client.consumers import stop_consumer
from schemas.record import to_millis
from schemas.settings import Settings

_FETCH_MS = 50
_COORDINATOR_SECONDS = 10.0
_STOP_SECONDS = 1.0
_FETCH_BYTES = 1024 * 1024


class Budget:
    """A bound on what is read: so many seconds from now on, and so many bytes."""

    def __init__(self, seconds: float, size: int) -> None:
        self._deadline = time.monotonic() + seconds
        self._bytes = size

    @property
    def is_spent(self) -> bool:
        """Return whether nothing more may be read."""
        return self._bytes <= 0 or time.monotonic() > self._deadline

    def spend(self, records: Iterable[ConsumerRecord]) -> None:
        """Count what was read."""
        self._bytes -= sum(len(record.value or b"") for record in records)


class KafkaReader:
    """Reads committed records, as a consumer without a group. An async context manager; calls raise KafkaError.

    `complete` becomes False when a read ended because its budget was spent.
    """

    def __init__(self, settings: Settings, budget: Budget, guard: ClusterGuard | None = None) -> None:
        self._options: dict[str, Any] = guarded(settings.kafka_client(), guard)
        self._guard = guard
        self._consumer = AIOKafkaConsumer(
            **self._options,
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=_FETCH_BYTES,
            fetch_max_wait_ms=_FETCH_MS,
        )
        self._budget = budget
        self.complete = True

    async def __aenter__(self) -> Self:
        try:
            await self._consumer.start()
        except BaseException as error:
            await self._consumer.stop()
            if isinstance(error, KafkaConnectionError):
                if self._guard is not None and self._guard.fault is not None:
                    raise ForeignCluster(self._guard.fault) from None
                raise KafkaConnectionError(f"Kafka at {self._options['bootstrap_servers']} doesn't answer") from None
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await stop_consumer(self._consumer, _STOP_SECONDS)

    async def partitions(self, topic: str) -> list[TopicPartition]:
        """Return a topic's partitions; none where there is no such topic."""
        numbers = (await self._consumer._client.fetch_all_metadata()).partitions_for_topic(topic) or ()
        return [TopicPartition(topic, number) for number in sorted(numbers)]

    async def offsets_at(self, tps: Iterable[TopicPartition], moment: datetime) -> dict[TopicPartition, int]:
        """Return the first offset of each partition that was written at a moment or after it, else its end."""
        wanted = list(tps)
        found = await self._consumer.offsets_for_times({tp: max(to_millis(moment), 0) for tp in wanted})
        ends = await self._consumer.end_offsets(wanted)
        return {tp: found[tp].offset if found[tp] else ends[tp] for tp in wanted}

    async def records(self, starts: Mapping[TopicPartition, int]) -> AsyncIterator[ConsumerRecord]:
        """Yield the records of partitions from an offset each up to their present ends, as far as the budget goes."""
        ends = await self._consumer.end_offsets(list(starts))
        left = {tp for tp, start in starts.items() if start < ends[tp]}
        if left and self._budget.is_spent:
            self.complete = False
        if not left or self._budget.is_spent:  # a consumer that is stopped right after an assignment may never end
            return
        self._consumer.assign(sorted(left))
        for tp in left:
            self._consumer.seek(tp, starts[tp])
        while left:
            if self._budget.is_spent:
                self.complete = False
                return
            for tp, found in (await self._consumer.getmany(*left, timeout_ms=_FETCH_MS)).items():
                self._budget.spend(found)
                for record in found:
                    if record.offset < ends[tp]:
                        yield record
            left = {tp for tp in left if await self._consumer.position(tp) < ends[tp]}

    async def record(self, tp: TopicPartition, offset: int) -> ConsumerRecord | None:
        """Return the record at an offset, None where it is gone."""
        if offset < (await self._consumer.beginning_offsets([tp]))[tp]:
            return None
        async for found in self.records({tp: offset}):
            return found if found.offset == offset else None
        return None


async def committed_offsets(settings: Settings, group: str) -> dict[TopicPartition, int]:
    """Return the offsets that a consumer group has committed. Raises KafkaError.

    A broker that never had a group makes the topic for offsets when it is first asked: that is waited for.
    """
    admin = AIOKafkaAdminClient(**settings.kafka_client())
    try:
        await admin.start()
        deadline = time.monotonic() + _COORDINATOR_SECONDS
        while True:
            try:
                committed = await admin.list_consumer_group_offsets(group)
            except GroupCoordinatorNotAvailableError:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.1)
            else:
                return {tp: found.offset for tp, found in committed.items() if found.offset >= 0}
    except KafkaConnectionError:
        raise KafkaConnectionError(f"Kafka at {settings.kafka_bootstrap_servers} doesn't answer") from None
    finally:
        await admin.close()
