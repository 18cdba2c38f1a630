"""The publisher: many requests, one acknowledgement. Records that Kafka does not take in time are spooled."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from gateway.metrics import Metrics
from gateway.outgoing import RECORD_OVERHEAD, Outcome, OutgoingRecord
from gateway.publish.cluster_memory import AskDatabase, GatewayMemory, know_nothing
from gateway.publish.connection import Connection
from gateway.publish.partition_queue import Delivery
from gateway.publish.partition_queues import PartitionQueues
from gateway.publish.sender import Sender
from gateway.spool.spool import Spool
from kafka_client.cluster_file import ClusterFile
from kafka_client.cluster_guard import ClusterGuard
from schemas.settings import Settings
from schemas.topics import topic_names

MAX_WAITING_BYTES = 64 * 1024 * 1024
"""Most bytes that wait for their acknowledgement; further records get RETRY at once."""

STOP_SECONDS = 2.0
"""Time for which stopping waits, in each of its steps."""

ADOPT_SECONDS = 3.0
"""Time between two looks for spools whose process has died."""


class Publisher:
    """Writes records to `events.raw` as `settings` say; to be used between `start` and `stop`.

    `partition_queues` has the policy: Kafka, else the spool, in order. `ask_database` returns which cluster Postgres
    remembers.
    """

    def __init__(self, settings: Settings, metrics: Metrics, ask_database: AskDatabase = know_nothing) -> None:
        topic = topic_names(settings).raw
        memory = GatewayMemory(ClusterFile(settings.spool_directory, topic), ask_database)
        self.guard = ClusterGuard(memory, settings.kafka_cluster_id)
        self._patience = settings.acknowledge_seconds
        self._connection = Connection(settings, topic, on_connect=lambda: self._queues.resume(), guard=self.guard)
        self.spool = Spool(settings, metrics)
        sender = Sender(topic, self._connection, metrics)
        self._queues = PartitionQueues(topic, self._connection, sender, self.spool, settings.spool_after_seconds)
        self._tasks: list[asyncio.Task[None]] = []
        self._waiting_bytes = 0
        metrics.waiting_bytes.set_function(lambda: self._waiting_bytes)
        metrics.kafka_up.set_function(lambda: self.kafka_fault is None)
        metrics.kafka_foreign.set_function(lambda: self.guard.fault is not None)

    @property
    def kafka_fault(self) -> str | None:
        """The reason for which records can't be written to Kafka, in a sentence; None when they can."""
        return self._connection.fault or self._unacknowledged()

    @property
    def limit_fault(self) -> str | None:
        """The reason for which the topic may not take an event that the gateway takes, in a sentence; or None."""
        return self._connection.limit_fault

    @property
    def faults(self) -> list[str]:
        """The reasons for which records can't become durable; empty while either Kafka or the spool takes them.

        At the start it is empty until the first attempt to reach Kafka has ended.
        """
        kafka, spool = self.kafka_fault, self.spool.fault
        if kafka is None or (spool is None and self._connection.tried):
            return []
        return [fault for fault in (kafka, spool) if fault is not None]

    async def start(self) -> None:
        """Take over spools that were left behind, and begin to connect; it does not wait for Kafka."""
        await self.spool.start()
        self._tasks = [
            asyncio.create_task(self._connection.keep(), name="kafka connection"),
            asyncio.create_task(self._queues.monitor(), name="partition queues"),
            asyncio.create_task(self._adopt(), name="spools left behind"),
        ]

    async def stop(self) -> None:
        """End within a few steps of STOP_SECONDS, and disconnect; spooled records stay on disk."""
        if self.kafka_fault is None:
            await self._queues.wait(STOP_SECONDS)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=3 * STOP_SECONDS)
        await self._queues.stop(STOP_SECONDS)
        await self.spool.stop()

    async def publish(self, records: Sequence[OutgoingRecord]) -> list[Outcome]:
        """Write records; returns the outcome of each: DURABLE is acknowledged by all in-sync replicas, or spooled.

        Never raises, and takes at most `acknowledge_seconds`. Records of one key keep their order. A record
        that is not durable may still appear in the topic, when it was already in flight.
        """
        size = RECORD_OVERHEAD * len(records) + sum([len(record.value) for record in records])
        if self._waiting_bytes + size > MAX_WAITING_BYTES or not self._can_begin():
            return [Outcome.RETRY] * len(records)
        loop = asyncio.get_running_loop()
        delivery = Delivery(records, loop.time(), loop.create_future(), [None] * len(records), len(records))
        self._waiting_bytes += size
        timer = loop.call_later(self._patience, delivery.end)
        try:
            self._queues.enqueue(delivery)
            outcomes = await delivery.done
        except asyncio.CancelledError:
            delivery.done.cancel()  # a cancelled delivery has ended: none of its waiting records is sent
            raise
        finally:
            timer.cancel()
            self._waiting_bytes -= size
        if Outcome.RETRY in outcomes:
            self._queues.forget_ended()
        return outcomes

    def _can_begin(self) -> bool:
        """Tell whether records can go anywhere; when Kafka is away, all that waits for it is spooled first."""
        if self.spool.enabled and self._connection.fault is not None:
            self._queues.switch_to_spool()
        return self.spool.enabled or self._connection.producer is not None

    async def _adopt(self) -> None:
        while True:
            await asyncio.sleep(ADOPT_SECONDS)
            if await self.spool.adopt():
                self._queues.switch_to_spool()

    def _unacknowledged(self) -> str | None:
        since = self._connection.oldest_in_flight()
        if since is not None and asyncio.get_running_loop().time() - since > self._patience:
            return "Kafka doesn't acknowledge: are enough replicas in sync?"
        return None
