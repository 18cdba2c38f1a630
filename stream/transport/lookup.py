"""Looking things up in a partition, on a connection of its own: its bounds, and what it holds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Self

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from schemas.record import to_millis
from schemas.settings import Settings


class Lookup:
    """Reads partitions beside the consumer group, whose own connection may be busy waiting for new records.

    An async context manager; every call raises KafkaError.
    """

    def __init__(self, settings: Settings) -> None:
        self._consumer = AIOKafkaConsumer(
            **settings.kafka_client(),
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=8 * 1024 * 1024,
            fetch_max_wait_ms=100,
        )

    async def __aenter__(self) -> Self:
        await self._consumer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def bounds(self, tp: TopicPartition) -> tuple[int, int]:
        """Return a partition's earliest offset, and the one after its last committed record."""
        earliest = (await self._consumer.beginning_offsets([tp]))[tp]
        return earliest, (await self._consumer.end_offsets([tp]))[tp]

    async def read(
        self, tp: TopicPartition, *, offset: int = 0, since: datetime | None = None
    ) -> AsyncIterator[ConsumerRecord]:
        """Yield a partition's committed records up to its present end, then stop.

        It begins at `offset`, or with what was written after `since`.
        """
        self._consumer.assign([tp])
        earliest, end = await self.bounds(tp)
        start = max(offset, earliest)
        if since is not None:
            found = (await self._consumer.offsets_for_times({tp: max(to_millis(since), 0)}))[tp]
            start = found.offset if found else end
        self._consumer.seek(tp, start)
        while start < end:
            for record in (await self._consumer.getmany(tp, timeout_ms=200)).get(tp, []):
                yield record
            start = await self._consumer.position(tp)
