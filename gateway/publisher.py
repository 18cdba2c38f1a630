"""The publisher: many requests, one acknowledgement.

All that arrives for a partition while a batch is under way goes into the next batch; on an idle partition a
batch leaves at once. So there is no lingering, and batches grow with the load.

What Kafka does not acknowledge in time goes to the spool: of a partition everything that waits, in its order,
and then everything that comes, until the spool is drained. A batch that is under way then is spooled as well,
and dropped from the spool when Kafka acknowledges it after all; it is not sent again before that is decided.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from aiokafka.errors import MessageSizeTooLargeError, RecordListTooLargeError
from aiokafka.partitioner import murmur2

from gateway.connection import Connection
from gateway.drain import Undelivered, drain
from gateway.lane import PIECE_BYTES, Delivery, Entry, Lane
from gateway.metrics import Metrics
from gateway.outgoing import RECORD_OVERHEAD, OutgoingRecord
from gateway.spool import Spool
from gateway.spool_file import Spooled
from schemas.record import place
from schemas.settings import Settings
from schemas.topics import topic_names

log = logging.getLogger(__name__)

MAX_WAITING_BYTES = 64 * 1024 * 1024
"""Most bytes that wait for their acknowledgement; what comes beyond is told to come again."""

STOP_SECONDS = 2.0
"""How long stopping waits for what is under way."""

TEND_SECONDS = 0.05
"""How often the lanes are looked at: what waits too long, what can be drained."""

ADOPT_SECONDS = 3.0
"""How often spools are looked for whose process has died."""

RESUME_SECONDS = 1.0
"""How long draining pauses after Kafka did not take a batch."""

KEYS_REMEMBERED = 65_536


class _TooLarge(Undelivered):
    """The topic takes no batch of this size: it would be refused from the spool as well."""


class Publisher:
    """Writes records to `events.raw` as `settings` say; to be used between `start` and `stop`."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._topic = topic_names(settings).raw
        self._patience = settings.acknowledge_seconds
        self._spool_after = settings.spool_after_seconds
        self._metrics = metrics
        self._connection = Connection(settings, self._topic, on_connect=self._connected)
        self.spool = Spool(settings, metrics)
        self._tasks: list[asyncio.Task[None]] = []
        self._lanes: dict[int, Lane] = {}
        self._partitions = 0
        self._waiting_bytes = 0
        self._hash = lru_cache(maxsize=KEYS_REMEMBERED)(_hash)
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
            asyncio.create_task(self._tend(), name="lanes"),
            asyncio.create_task(self._adopt(), name="spools left behind"),
        ]

    async def stop(self) -> None:
        """Let what is under way end, within STOP_SECONDS, and disconnect; what is spooled stays on disk."""
        if self.kafka_fault is None:
            await self._wait_for_lanes()
        for task in reversed(self._tasks):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self._wait_for_lanes()
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
        self._enqueue(delivery)
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
            for lane in self._lanes.values():
                lane.forget_ended()
        return durable

    def _can_begin(self) -> bool:
        """Whether there is anywhere for records to go; when Kafka is away, all that waits for it is spooled first."""
        if self.spool.enabled and self._connection.fault is not None:
            self._divert_all()
        return self.spool.enabled or self._connection.producer is not None

    def _enqueue(self, delivery: Delivery) -> None:
        spooling: list[Entry] = []
        for index, record in enumerate(delivery.records):
            entry = Entry(delivery, index)
            lane = self._lane_of(record.key)
            if lane is None or lane.spooling:
                spooling.append(entry)
            else:
                lane.waiting.append(entry)
                self._begin_flush(lane)
        if spooling:
            self._to_spool([], spooling)

    def _lane_of(self, key: bytes) -> Lane | None:
        """Return the lane of a key; None while it is not known how many partitions there are."""
        partitions = self._connection.partitions
        return self._lane(self._hash(key) % partitions) if partitions else None

    def _lane(self, partition: int) -> Lane:
        lane = self._lanes.get(partition)
        if lane is None:
            lane = self._lanes[partition] = Lane(partition, spooling=self.spool.records > 0)
        return lane

    def _begin_flush(self, lane: Lane) -> None:
        if lane.waiting and lane.task is None:
            lane.task = asyncio.create_task(self._flush(lane))

    async def _flush(self, lane: Lane) -> None:
        """Send batch after batch until nothing waits."""
        try:
            while (producer := self._connection.producer) is not None:
                batch = producer.create_batch()
                if not lane.fill(batch):
                    break
                await self._transmit(producer, batch, lane)
                self._acknowledge(lane)
        except Undelivered as error:
            self._give_up(lane, error)
        finally:
            lane.under_way, lane.task = [], None

    async def _transmit(self, producer: Any, batch: Any, lane: Lane) -> None:
        """Send one batch and wait for its acknowledgement. Raises Undelivered where it failed for good."""
        clock, records = asyncio.get_running_loop().time, batch.record_count()
        lane.since = sent_at = clock()
        try:
            acknowledged = await producer.send_batch(batch, self._topic, partition=lane.partition)
            await acknowledged
        except Exception as error:
            log.error(
                "a batch of %d events for partition %d failed: %r",
                records,
                lane.partition,
                error,
                extra=place(self._topic, lane.partition),
            )
            self._metrics.failed_batches.inc()
            self._connection.report(producer, error)
            too_large = isinstance(error, MessageSizeTooLargeError | RecordListTooLargeError)
            raise (_TooLarge if too_large else Undelivered)(str(error)) from error
        finally:
            lane.since = None
        self._metrics.acknowledge_seconds.observe(clock() - sent_at)
        self._metrics.batch_records.observe(records)

    def _acknowledge(self, lane: Lane) -> None:
        for delivery, index in lane.under_way:
            delivery.settle(index, True)
        self.spool.remove(lane.spooled)
        lane.spooled = []

    def _give_up(self, lane: Lane, error: Undelivered) -> None:
        """A batch failed for good: it goes to the spool, or its senders are told to come again."""
        self.spool.release(lane.spooled)
        if self.spool.enabled and not isinstance(error, _TooLarge):
            if not lane.spooled:
                lane.waiting.extendleft(reversed(lane.under_way))
            lane.under_way = []
            self._divert(lane)
        else:
            # the rest of these deliveries must not overtake what failed
            for delivery, _ in lane.under_way:
                delivery.end()
        lane.spooled = []

    def _divert(self, lane: Lane) -> None:
        """Spool what waits for a partition, in its order; what comes goes behind it until it is drained."""
        lane.spooling = True
        under_way, waiting = lane.take()
        if under_way or waiting:
            spooled = self._to_spool(under_way, waiting)
            if under_way:
                lane.spooled, lane.under_way = spooled, under_way[: len(spooled)]

    def _divert_all(self) -> None:
        for lane in self._lanes.values():
            self._divert(lane)

    def _to_spool(self, under_way: list[Entry], waiting: list[Entry]) -> list[Spooled]:
        """Spool records, and settle them when they are on disk; returns those that are under way."""
        entries = [*under_way, *waiting]
        spooled = [
            Spooled(entry.record, self._hash(entry.record.key), taken=number < len(under_way))
            for number, entry in enumerate(entries)
        ]
        room, written = self.spool.append(spooled)
        for delivery, index in entries[room:]:
            delivery.settle(index, False)

        def settle(done: asyncio.Future[bool]) -> None:
            for delivery, index in entries[:room]:
                delivery.settle(index, done.result())

        written.add_done_callback(settle)
        return spooled[: min(room, len(under_way))]

    async def _tend(self) -> None:
        """Spool what waits too long, and drain what can be drained."""
        while True:
            await asyncio.sleep(TEND_SECONDS)
            try:
                self._look_at_lanes(asyncio.get_running_loop().time())
            except Exception:
                log.exception("looking after the partitions failed; it is done again")

    def _look_at_lanes(self, now: float) -> None:
        connection = self._connection
        if self.spool.enabled:
            for lane in self._lanes.values():
                since = lane.waits_since()
                if since is not None and (connection.fault is not None or now - since > self._spool_after):
                    self._divert(lane)
        if connection.fault is not None or connection.producer is None:
            return
        if connection.partitions != self._partitions:
            # keys have moved: what is spooled of them may be another lane's now
            self._partitions = connection.partitions
            if self.spool.records:
                self._divert_all()
        if self.spool.records:
            for partition in range(connection.partitions):
                self._lane(partition)
        for lane in self._lanes.values():
            if lane.spooling and lane.task is None and now > lane.resume_at:
                lane.task = asyncio.create_task(self._drain(lane))

    async def _drain(self, lane: Lane) -> None:
        """Drain a lane, and go on with what waits."""
        try:
            await drain(lane, self.spool, self._connection, self._transmit)
            lane.piece_bytes = PIECE_BYTES
        except Exception as error:
            log.warning(
                "draining the spool for partition %d is interrupted: %r",
                lane.partition,
                error,
                extra=place(self._topic, lane.partition),
            )
            lane.piece_bytes = max(1, lane.piece_bytes // 2)  # maybe it was one record of them
            lane.resume_at = asyncio.get_running_loop().time() + RESUME_SECONDS
            self._divert(lane)
        finally:
            lane.task = None
        self._begin_flush(lane)

    async def _adopt(self) -> None:
        while True:
            await asyncio.sleep(ADOPT_SECONDS)
            if await self.spool.adopt():
                self._divert_all()

    async def _wait_for_lanes(self) -> None:
        tasks = [lane.task for lane in self._lanes.values() if lane.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_SECONDS)

    def _connected(self) -> None:
        for lane in self._lanes.values():
            self._begin_flush(lane)

    def _stuck(self) -> str | None:
        since = [lane.since for lane in self._lanes.values() if lane.since is not None]
        if since and asyncio.get_running_loop().time() - min(since) > self._patience:
            return "Kafka doesn't acknowledge: are enough replicas in sync?"
        return None


def _hash(key: bytes) -> int:
    """Kafka's hash of a key."""
    return int(murmur2(key)) & 0x7FFFFFFF
