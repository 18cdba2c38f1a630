"""Read bounds and records of partitions on a connection of its own."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Self

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaTimeoutError, OffsetOutOfRangeError

from kafka_client.background_tasks import check_tasks
from kafka_client.cluster_guard import ClusterGuard, ForeignCluster, guarded
from schemas.record import to_millis
from schemas.settings import Settings
from stream.runner.chunk import Chunk

log = logging.getLogger(__name__)

_FETCH_MS = 50
_STUCK_SECONDS = 30.0
_ANSWER_SECONDS = 15.0
_STOP_SECONDS = 3.0


class Lookup:
    """Reads partitions outside of the consumer group, whose connection may be busy waiting for new records.

    An async context manager; every call raises KafkaError, in time whatever Kafka does. With `committed_only`, records
    of open transactions and all records after them are not visible. `fetch_bytes` limits a fetch; make it small to
    read single records.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        committed_only: bool = True,
        fetch_bytes: int = 8 * 1024 * 1024,
        guard: ClusterGuard | None = None,
    ) -> None:
        self._guard = guard
        self._consumer = AIOKafkaConsumer(
            **guarded(settings.kafka_client(), guard),
            isolation_level="read_committed" if committed_only else "read_uncommitted",
            enable_auto_commit=False,
            auto_offset_reset="none",
            max_partition_fetch_bytes=fetch_bytes,
            fetch_max_wait_ms=_FETCH_MS,
        )

    async def __aenter__(self) -> Self:
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                await self._consumer.start()
        except BaseException as error:
            await self._stop()
            if isinstance(error, Exception) and self._guard is not None and self._guard.fault is not None:
                raise ForeignCluster(self._guard.fault) from None
            if isinstance(error, TimeoutError):
                raise KafkaTimeoutError(f"Kafka doesn't answer within {_ANSWER_SECONDS:g} s") from None
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop()

    async def _stop(self) -> None:
        """Stop the consumer; cut it off when it does not end, as one that waits for a broker."""
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await self._consumer.stop()
        except TimeoutError:
            log.debug("a reader's consumer did not stop, and is cut off")
            await self._consumer._client.close()

    @asynccontextmanager
    async def _answered(self) -> AsyncIterator[None]:
        """Bound the time of one question. Raises KafkaTimeoutError, and TaskEnded when the client can't go on."""
        check_tasks(self._consumer)
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                yield
        except TimeoutError:
            check_tasks(self._consumer)
            raise KafkaTimeoutError(f"Kafka doesn't answer within {_ANSWER_SECONDS:g} s") from None

    async def bounds(self, tp: TopicPartition) -> tuple[int, int]:
        """Return a partition's earliest offset and its end offset."""
        async with self._answered():
            earliest = (await self._consumer.beginning_offsets([tp]))[tp]
            return earliest, (await self._consumer.end_offsets([tp]))[tp]

    async def ends(self, tps: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Return the end offsets of partitions."""
        async with self._answered():
            ends: dict[TopicPartition, int] = await self._consumer.end_offsets([TopicPartition(*tp) for tp in tps])
        return ends

    async def read(
        self, tp: TopicPartition, *, offset: int = 0, since: datetime | None = None
    ) -> AsyncGenerator[ConsumerRecord]:
        """Yield a partition's committed records up to its present end, then stop.

        Starts at `offset`, or with the first record written at `since` or later. Raises LookupError when an open
        transaction hides the end for half a minute.
        """
        earliest, end = await self.bounds(tp)
        begin = await self.offset_at(tp, since) if since is not None else max(offset, earliest)
        self._consumer.assign([tp])
        self._consumer.seek(tp, end if begin is None else begin)
        moved_at = time.monotonic()
        while not await self._at_end(tp, end):
            check_tasks(self._consumer)
            for record in (await self._consumer.getmany(tp, timeout_ms=_FETCH_MS)).get(tp, []):
                moved_at = time.monotonic()
                yield record
            if time.monotonic() - moved_at > _STUCK_SECONDS:
                raise LookupError(
                    f"{tp.topic}:{tp.partition} can't be read to its end: a transaction is left open in it"
                )

    async def chunks(self, tp: TopicPartition, start: int, end: int, most: int) -> AsyncGenerator[Chunk]:
        """Yield a partition's committed records from `start` up to `end`, at most `most` in a chunk.

        The chunks cover the whole range without gaps. Raises LookupError when an open transaction hides `end` for
        half a minute, or when offsets expired before they were read.
        """
        if start >= end:  # a consumer that is stopped right after an assignment may never end
            return
        self._consumer.assign([tp])
        self._consumer.seek(tp, start)
        moved_at = time.monotonic()
        while start < end:
            check_tasks(self._consumer)
            try:
                found = await self._consumer.getmany(tp, timeout_ms=_FETCH_MS, max_records=most)
            except OffsetOutOfRangeError as error:
                earliest, latest = await self.bounds(tp)
                has = f"it has {earliest} to {latest - 1} by now"
                raise LookupError(f"{tp.topic}:{tp.partition} can't be read on from offset {start}: {has}") from error
            async with self._answered():
                reached = min(await self._consumer.position(tp), end)
            if reached > start:
                records = [record for record in found.get(tp, []) if record.offset < end]
                yield Chunk(tp.topic, tp.partition, start, reached, records)
                start, moved_at = reached, time.monotonic()
            elif time.monotonic() - moved_at > _STUCK_SECONDS:
                raise LookupError(f"{tp.topic}:{tp.partition} can't be read on from offset {start}")

    async def offsets_at(self, tps: Iterable[TopicPartition], moment: datetime) -> dict[TopicPartition, int]:
        """Return, for each partition, the first offset written at `moment` or later, or its end if there is none."""
        wanted = list(tps)
        ends = await self.ends(wanted)
        async with self._answered():
            found = await self._consumer.offsets_for_times(dict.fromkeys(wanted, max(to_millis(moment), 0)))
        return {tp: ends[tp] if found[tp] is None else found[tp].offset for tp in wanted}

    async def offset_at(self, tp: TopicPartition, moment: datetime) -> int | None:
        """Return the first offset written at `moment` or later; None if there is none."""
        async with self._answered():
            found = (await self._consumer.offsets_for_times({tp: max(to_millis(moment), 0)}))[tp]
        return found.offset if found else None

    async def _at_end(self, tp: TopicPartition, end: int) -> bool:
        """Return whether the position has reached both the high watermark of the last fetch and `end`.

        The high watermark includes open transactions. A new leader's first fetches may report a lower one than the
        former leader's, so `end`, as asked before, has to be reached as well.
        """
        high_watermark = self._consumer.highwater(tp)  # None before the first fetch
        async with self._answered():
            return high_watermark is not None and await self._consumer.position(tp) >= max(high_watermark, end)
