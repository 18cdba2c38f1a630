"""The publisher: many requests, one acknowledgement.

All that arrives for a partition while a batch is under way goes into the next batch; on an idle partition a
batch leaves at once. So there is no lingering, and batches grow with the load.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from aiokafka.partitioner import murmur2

from gateway.connection import Connection
from gateway.metrics import Metrics
from schemas.settings import Settings
from schemas.topics import topic_names

log = logging.getLogger(__name__)

MAX_WAITING_BYTES = 64 * 1024 * 1024
"""Most bytes that wait for their acknowledgement; what comes beyond is told to come again."""

RECORD_OVERHEAD = 300
"""Bytes a record takes apart from its value, roughly."""

STOP_SECONDS = 2.0
"""How long stopping waits for what is under way."""

KEYS_REMEMBERED = 65_536


class OutgoingRecord(NamedTuple):
    """A record for `events.raw`; `timestamp` in milliseconds since 1970."""

    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]
    timestamp: int


class _Delivery:
    """The records of one call, and which of them are durable so far."""

    __slots__ = ("done", "durable", "missing", "records")

    def __init__(self, records: Sequence[OutgoingRecord]) -> None:
        self.records = records
        self.durable = [False] * len(records)
        self.missing = len(records)
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def acknowledge(self, index: int) -> None:
        if self.done.done():
            return
        self.durable[index] = True
        self.missing -= 1
        if self.missing == 0:
            self.end()

    def end(self) -> None:
        """Wait no longer; what has not been handed to Kafka's client yet will not be."""
        if not self.done.done():
            self.done.set_result(None)


_Entry = tuple[_Delivery, int]


class _Lane:
    """What waits for one partition. At most one batch is under way, since `flushing_since`."""

    __slots__ = ("flushing_since", "partition", "task", "waiting")

    def __init__(self, partition: int) -> None:
        self.partition = partition
        self.waiting: deque[_Entry] = deque()
        self.task: asyncio.Task[None] | None = None
        self.flushing_since: float | None = None

    def forget_ended(self) -> None:
        """Drop what nobody waits for any more; deliveries end in the order they came."""
        while self.waiting and self.waiting[0][0].done.done():
            self.waiting.popleft()


class Publisher:
    """Writes records to `events.raw` as `settings` say; to be used between `start` and `stop`."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._topic = topic_names(settings).raw
        self._patience = settings.acknowledge_seconds
        self._metrics = metrics
        self._connection = Connection(settings, self._topic, on_connect=self._connected)
        self._keeper: asyncio.Task[None] | None = None
        self._lanes: dict[int, _Lane] = {}
        self._waiting_bytes = 0
        self._hash = lru_cache(maxsize=KEYS_REMEMBERED)(murmur2)
        metrics.waiting_bytes.set_function(lambda: self._waiting_bytes)
        metrics.kafka_up.set_function(lambda: self.fault is None)

    @property
    def fault(self) -> str | None:
        """What keeps records from becoming durable, in a sentence; None when nothing does."""
        return self._connection.fault or self._stuck()

    async def start(self) -> None:
        """Begin to connect. Returns at once, whether Kafka is there or not."""
        self._keeper = asyncio.create_task(self._connection.keep(), name="kafka connection")

    async def stop(self) -> None:
        """Let what is under way end, within STOP_SECONDS, and disconnect."""
        tasks = [lane.task for lane in self._lanes.values() if lane.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_SECONDS)
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper

    async def publish(self, records: Sequence[OutgoingRecord]) -> list[bool]:
        """Write records; returns for each whether it is durable: acknowledged by all in-sync replicas.

        Never raises, and takes at most `acknowledge_seconds`. Records of one key keep their order. A record
        that is not durable may still appear in the topic, when its batch was already under way.
        """
        size = sum(len(record.value) + RECORD_OVERHEAD for record in records)
        if self._connection.producer is None or self._waiting_bytes + size > MAX_WAITING_BYTES:
            return [False] * len(records)
        delivery = _Delivery(records)
        for index, record in enumerate(records):
            self._enqueue((delivery, index), record.key)
        self._waiting_bytes += size
        timer = asyncio.get_running_loop().call_later(self._patience, delivery.end)
        try:
            await delivery.done
        finally:
            timer.cancel()
            delivery.end()
            self._waiting_bytes -= size
            if delivery.missing:
                self._forget_ended()
        return delivery.durable

    def _enqueue(self, entry: _Entry, key: bytes) -> None:
        partition = (self._hash(key) & 0x7FFFFFFF) % self._connection.partitions
        lane = self._lanes.get(partition)
        if lane is None:
            lane = self._lanes[partition] = _Lane(partition)
        lane.waiting.append(entry)
        if lane.task is None:
            lane.task = asyncio.create_task(self._flush(lane))

    async def _flush(self, lane: _Lane) -> None:
        """Send batch after batch until nothing waits."""
        try:
            while (producer := self._connection.producer) is not None:
                batch, entries = self._fill(producer, lane)
                if not entries or not await self._send(producer, batch, entries, lane):
                    break
        finally:
            lane.task = lane.flushing_since = None

    def _fill(self, producer: Any, lane: _Lane) -> tuple[Any, list[_Entry]]:
        batch = producer.create_batch()
        entries: list[_Entry] = []
        while lane.waiting:
            delivery, index = entry = lane.waiting[0]
            if not delivery.done.done():
                key, value, headers, timestamp = delivery.records[index]
                if batch.append(timestamp=timestamp, key=key, value=value, headers=headers) is None:
                    break
                entries.append(entry)
            lane.waiting.popleft()
        return batch, entries

    async def _send(self, producer: Any, batch: Any, entries: list[_Entry], lane: _Lane) -> bool:
        """Send one batch and wait for its acknowledgement; False where it failed for good."""
        clock = asyncio.get_running_loop().time
        lane.flushing_since = sent_at = clock()
        try:
            acknowledged = await producer.send_batch(batch, self._topic, partition=lane.partition)
            await acknowledged
        except Exception as error:
            log.error("a batch of %d events for partition %d failed: %r", len(entries), lane.partition, error)
            self._metrics.failed_batches.inc()
            self._connection.report(producer, error)
            # the rest of these deliveries must not overtake what failed
            for delivery, _ in entries:
                delivery.end()
            return False
        self._metrics.acknowledge_seconds.observe(clock() - sent_at)
        self._metrics.batch_records.observe(len(entries))
        for delivery, index in entries:
            delivery.acknowledge(index)
        return True

    def _connected(self) -> None:
        for lane in self._lanes.values():
            if lane.waiting and lane.task is None:
                lane.task = asyncio.create_task(self._flush(lane))

    def _forget_ended(self) -> None:
        for lane in self._lanes.values():
            lane.forget_ended()

    def _stuck(self) -> str | None:
        since = [lane.flushing_since for lane in self._lanes.values() if lane.flushing_since is not None]
        if since and asyncio.get_running_loop().time() - min(since) > self._patience:
            return "Kafka doesn't acknowledge: are enough replicas in sync?"
        return None
