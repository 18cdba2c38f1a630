"""The publisher: many requests, one acknowledgement. What Kafka does not take in time is spooled."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from gateway.metrics import Metrics
from gateway.outgoing import RECORD_OVERHEAD, OutgoingRecord
from gateway.publish.connection import Connection
from gateway.publish.partition_queue import Delivery
from gateway.publish.partition_queues import Lanes
from gateway.spool.spool import Spool
from schemas.settings import Settings
from schemas.topics import topic_names

MAX_WAITING_BYTES = 64 * 1024 * 1024
"""Most bytes that wait for their acknowledgement; what comes beyond is told to come again."""

STOP_SECONDS = 2.0
"""How long stopping waits for what is under way."""

ADOPT_SECONDS = 3.0
"""How often spools are looked for whose process has died."""


class Publisher:
    """Writes records to `events.raw` as `settings` say; to be used between `start` and `stop`."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        topic = topic_names(settings).raw
        self._patience = settings.acknowledge_seconds
        self._connection = Connection(settings, topic, on_connect=lambda: self._lanes.go_on())
        self.spool = Spool(settings, metrics)
        self._lanes = Lanes(topic, self._connection, self.spool, metrics, settings.spool_after_seconds)
        self._tasks: list[asyncio.Task[None]] = []
        self._waiting_bytes = 0
        metrics.waiting_bytes.set_function(lambda: self._waiting_bytes)
        metrics.kafka_up.set_function(lambda: self.kafka_fault is None)

    @property
    def kafka_fault(self) -> str | None:
        """What keeps records from being written to Kafka, in a sentence; None when nothing does."""
        return self._connection.fault or self._stuck()

    @property
    def faults(self) -> list[str]:
        """What keeps records from becoming durable, in sentences; empty while either Kafka or the spool takes them.

        At the start Kafka is given its chance first.
        """
        kafka, spool = self.kafka_fault, self.spool.fault
        if kafka is None or (spool is None and self._connection.tried):
            return []
        return [fault for fault in (kafka, spool) if fault is not None]

    async def start(self) -> None:
        """Take over spools that were left behind, and begin to connect; returns whether Kafka is there or not."""
        await self.spool.start()
        self._tasks = [
            asyncio.create_task(self._connection.keep(), name="kafka connection"),
            asyncio.create_task(self._lanes.tend(), name="lanes"),
            asyncio.create_task(self._adopt(), name="spools left behind"),
        ]

    async def stop(self) -> None:
        """Let what is under way end, within STOP_SECONDS, and disconnect; what is spooled stays on disk."""
        if self.kafka_fault is None:
            await self._lanes.wait(STOP_SECONDS)
        for task in reversed(self._tasks):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self._lanes.wait(STOP_SECONDS)
        await self.spool.stop()

    async def publish(self, records: Sequence[OutgoingRecord]) -> list[bool]:
        """Write records; returns for each whether it is durable: acknowledged by all in-sync replicas, or spooled.

        Never raises, and takes at most `acknowledge_seconds`. Records of one key keep their order. A record
        that is not durable may still appear in the topic, when it was already under way.
        """
        size = sum(len(record.value) + RECORD_OVERHEAD for record in records)
        if self._waiting_bytes + size > MAX_WAITING_BYTES or not self._can_begin():
            return [False] * len(records)
        delivery = Delivery(records)
        self._lanes.enqueue(delivery)
        self._waiting_bytes += size
        timer = asyncio.get_running_loop().call_later(self._patience, delivery.end)
        try:
            await delivery.done
        finally:
            timer.cancel()
            delivery.end()
            self._waiting_bytes -= size
        durable = delivery.durable
        if not all(durable):
            self._lanes.forget_ended()
        return durable

    def _can_begin(self) -> bool:
        """Whether there is anywhere for records to go; when Kafka is away, all that waits for it is spooled first."""
        if self.spool.enabled and self._connection.fault is not None:
            self._lanes.divert()
        return self.spool.enabled or self._connection.producer is not None

    async def _adopt(self) -> None:
        while True:
            await asyncio.sleep(ADOPT_SECONDS)
            if await self.spool.adopt():
                self._lanes.divert()

    def _stuck(self) -> str | None:
        since = self._lanes.under_way_since()
        if since is not None and asyncio.get_running_loop().time() - since > self._patience:
            return "Kafka doesn't acknowledge: are enough replicas in sync?"
        return None
