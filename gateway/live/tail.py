"""The common reader of `events.validated` and `events.rejected`, which runs while somebody listens."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from gateway.live.listener import Listener
from gateway.live.positions import Positions
from gateway.live.verdict import ACCEPTED, REJECTED, Conditions, LiveVerdict
from kafka_client.cluster_guard import ClusterGuard, guarded
from kafka_client.consumers import stop_consumer
from schemas.settings import Settings
from schemas.topics import topic_names

log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0
"""Time between two tries to read while Kafka is away."""

_FETCH_MS = 200
_STOP_SECONDS = 1.0
_RECORDS = 500
_FETCH_BYTES = 512 * 1024


class Tail:
    """Reads both topics from their ends on, committed records alone, and offers each verdict to all listeners.

    Runs from the first listener on until the last one has gone. While Kafka is away it tries again, and goes on where
    it was. `positions`: the next offset of each partition; empty until the ends are known.
    """

    def __init__(self, settings: Settings, guard: ClusterGuard | None = None) -> None:
        self.topics = topic_names(settings)
        self.positions: Positions = {}
        self._kinds = {self.topics.validated: ACCEPTED, self.topics.rejected: REJECTED}
        self._options: dict[str, Any] = guarded(settings.kafka_client(), guard)
        self._listeners: set[Listener] = set()
        self._reading: asyncio.Task[None] | None = None
        self._started = asyncio.Event()

    @property
    def listeners(self) -> int:
        """The number of listeners."""
        return len(self._listeners)

    @property
    def started(self) -> bool:
        """Tell whether what comes from now on is heard."""
        return self._started.is_set()

    async def wait_started(self, seconds: float) -> bool:
        """Wait until what comes is heard, at most so long; tells whether it is."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._started.wait()
        return self.started

    @asynccontextmanager
    async def listening(self, conditions: Conditions, starts: Positions | None = None) -> AsyncIterator[Listener]:
        """Lend a listener; with `starts` it takes nothing until its reader has caught up, see `Listener.own`."""
        listener = Listener(conditions, self.topics, starts)
        self._listeners.add(listener)
        if self._reading is None:
            self._reading = asyncio.create_task(self._read_on(), name="live verdicts")
        try:
            yield listener
        finally:
            self._listeners.discard(listener)
            if not self._listeners:
                await self._stop()

    async def read_own(self, listener: Listener) -> AsyncGenerator[bytes, None]:
        """Yield what a listener reads by itself, from its positions to where the common reader is, which has started.

        Raises KafkaError; it can be called again, and goes on.
        """
        positions = listener.begin_at_known(self.positions)
        async with self._connected() as consumer:
            if gap := await self._clip(consumer, listener):
                yield gap
            consumer.assign(sorted(listener.own))
            for tp in listener.own:
                consumer.seek(tp, positions[tp])
            while listener.own:
                found = await consumer.getmany(*listener.own, timeout_ms=_FETCH_MS, max_records=_RECORDS)
                events = [listener.take()]
                events += [listener.read(self._verdict(record)) for records in found.values() for record in records]
                positions |= {tp: await consumer.position(tp) for tp in listener.own}
                # from here to the end of the loop nothing else runs: neither reader moves
                listener.own = {tp for tp in listener.own if positions[tp] < self.positions[tp]}
                yield b"".join(events)
                await asyncio.sleep(0)  # what is buffered comes without a pause, and others have to run as well

    async def _clip(self, consumer: AIOKafkaConsumer, listener: Listener) -> bytes:
        """Move positions into the log; returns the event that tells of records that are gone, where there are any."""
        assert listener.positions is not None, "it reads by itself"
        begins = await consumer.beginning_offsets(list(listener.own))
        ends = await consumer.end_offsets(list(listener.own))
        clipped = {tp: min(max(listener.positions[tp], begins[tp]), ends[tp]) for tp in listener.own}
        if all(listener.positions[tp] == offset for tp, offset in clipped.items()):
            return b""
        listener.positions |= clipped
        return listener.miss(None)

    async def _stop(self) -> None:
        if self._reading is not None:
            reading, self._reading = self._reading, None
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reading
            if not self._listeners:
                self.positions = {}
                self._started.clear()

    async def _read_on(self) -> None:
        while True:
            try:
                async with self._connected() as consumer:
                    await self._read(consumer)
            except (KafkaError, OSError) as error:
                log.warning("the live stream waits for Kafka: %s", error)
            await asyncio.sleep(RETRY_SECONDS)

    async def _read(self, consumer: AIOKafkaConsumer) -> None:
        while True:
            partitions = await self._partitions(consumer)
            if not self.positions:
                self.positions = dict(await consumer.end_offsets(partitions))
            self.positions |= {tp: 0 for tp in partitions if tp not in self.positions}
            consumer.assign(partitions)
            for tp in partitions:
                consumer.seek(tp, self.positions[tp])
            self._started.set()
            while len(partitions) == len(_partitions_in(consumer, self._kinds)):
                found = await consumer.getmany(timeout_ms=_FETCH_MS, max_records=_RECORDS)
                for tp, records in found.items():
                    for record in records:
                        self.positions[tp] = record.offset + 1
                        verdict = self._verdict(record)
                        for listener in self._listeners:
                            listener.offer(verdict, self.positions)
                await asyncio.sleep(0)

    async def _partitions(self, consumer: AIOKafkaConsumer) -> list[TopicPartition]:
        """Return the partitions of both topics. Raises KafkaError where one is missing."""
        found = _partitions_in(await consumer._client.fetch_all_metadata(), self._kinds)
        if missing := self._kinds.keys() - {tp.topic for tp in found}:
            raise KafkaError(f"topic {min(missing)} doesn't exist")
        return found

    def _verdict(self, record: Any) -> LiveVerdict:
        return LiveVerdict(record, self._kinds[record.topic])

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[AIOKafkaConsumer]:
        consumer = AIOKafkaConsumer(
            **self._options,
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=_FETCH_BYTES,
            fetch_max_wait_ms=_FETCH_MS,
        )
        try:
            await consumer.start()
            yield consumer
        finally:
            await stop_consumer(consumer, _STOP_SECONDS)


def _partitions_in(metadata: Any, topics: Iterable[str]) -> list[TopicPartition]:
    """Return the partitions of topics that metadata, or a consumer by its own, know."""
    return [
        TopicPartition(topic, number)
        for topic in topics
        for number in sorted(metadata.partitions_for_topic(topic) or ())
    ]
