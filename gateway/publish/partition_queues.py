"""The lanes to the raw topic: one for each partition, in which records go to Kafka or to the spool, in their order.

All that arrives for a partition while a batch is under way goes into the next batch; on an idle partition a
batch leaves at once. So there is no lingering, and batches grow with the load.

What Kafka does not acknowledge in time goes to the spool: of a partition everything that waits, in its order,
and then everything that comes, until the spool is drained. A batch that is under way then is spooled as well,
and dropped from the spool when Kafka acknowledges it after all; it is not sent again before that is decided.
"""

from __future__ import annotations

import asyncio
import logging
from functools import lru_cache
from typing import Any

from aiokafka.errors import MessageSizeTooLargeError, RecordListTooLargeError
from aiokafka.partitioner import murmur2

from gateway.metrics import Metrics
from gateway.publish.connection import Connection
from gateway.publish.drain import Undelivered, drain
from gateway.publish.partition_queue import PIECE_BYTES, Delivery, Entry, Lane
from gateway.spool.segment import Spooled
from gateway.spool.spool import Spool
from schemas.record import place

log = logging.getLogger(__name__)

TEND_SECONDS = 0.05
"""How often the lanes are looked at: what waits too long, what can be drained."""

RESUME_SECONDS = 1.0
"""How long draining pauses after Kafka did not take a batch."""

KEYS_REMEMBERED = 65_536


class _TooLarge(Undelivered):
    """The topic takes no batch of this size: it would be refused from the spool as well."""


class Lanes:
    """Takes deliveries, and settles each of their records once it is durable or can't become so.

    A record waits for Kafka for `spool_after` seconds.
    """

    def __init__(self, topic: str, connection: Connection, spool: Spool, metrics: Metrics, spool_after: float) -> None:
        self._topic = topic
        self._connection = connection
        self._spool = spool
        self._metrics = metrics
        self._spool_after = spool_after
        self._lanes: dict[int, Lane] = {}
        self._partitions = 0
        self._hash = lru_cache(maxsize=KEYS_REMEMBERED)(_hash)

    def enqueue(self, delivery: Delivery) -> None:
        """Put each record into the lane of its key, or behind what is spooled."""
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

    def go_on(self) -> None:
        """Send what waits: the connection is there."""
        for lane in self._lanes.values():
            self._begin_flush(lane)

    def divert(self) -> None:
        """Spool all that waits; what comes goes behind it until it is drained."""
        for lane in self._lanes.values():
            self._divert(lane)

    def forget_ended(self) -> None:
        """Drop what nobody waits for any more."""
        for lane in self._lanes.values():
            lane.forget_ended()

    def under_way_since(self) -> float | None:
        """When the oldest batch was sent of those without an answer, on the loop's clock."""
        return min((lane.since for lane in self._lanes.values() if lane.since is not None), default=None)

    async def wait(self, seconds: float) -> None:
        """Wait until nothing is under way, at most this long."""
        tasks = [lane.task for lane in self._lanes.values() if lane.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)

    async def tend(self) -> None:
        """Spool what waits too long, and drain what can be drained, until cancelled."""
        while True:
            await asyncio.sleep(TEND_SECONDS)
            try:
                self._look(asyncio.get_running_loop().time())
            except Exception:
                log.exception("looking after the partitions failed; it is done again")

    def _look(self, now: float) -> None:
        connection = self._connection
        if self._spool.enabled:
            for lane in self._lanes.values():
                since = lane.waits_since()
                if since is not None and (connection.fault is not None or now - since > self._spool_after):
                    self._divert(lane)
        if connection.fault is not None or connection.producer is None:
            return
        if connection.partitions != self._partitions:
            # keys have moved: what is spooled of them may be another lane's now
            self._partitions = connection.partitions
            if self._spool.records:
                self.divert()
        if self._spool.records:
            for partition in range(connection.partitions):
                self._lane(partition)
        for lane in self._lanes.values():
            if lane.spooling and lane.task is None and now > lane.resume_at:
                lane.task = asyncio.create_task(self._drain(lane))

    def _lane_of(self, key: bytes) -> Lane | None:
        """Return the lane of a key; None while it is not known how many partitions there are."""
        partitions = self._connection.partitions
        return self._lane(self._hash(key) % partitions) if partitions else None

    def _lane(self, partition: int) -> Lane:
        lane = self._lanes.get(partition)
        if lane is None:
            lane = self._lanes[partition] = Lane(partition, spooling=self._spool.records > 0)
        return lane

    # to Kafka

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
        self._spool.remove(lane.spooled)
        lane.spooled = []

    def _give_up(self, lane: Lane, error: Undelivered) -> None:
        """A batch failed for good: it goes to the spool, or its senders are told to come again."""
        self._spool.release(lane.spooled)
        if self._spool.enabled and not isinstance(error, _TooLarge):
            if not lane.spooled:
                lane.waiting.extendleft(reversed(lane.under_way))
            lane.under_way = []
            self._divert(lane)
        else:
            # the rest of these deliveries must not overtake what failed
            for delivery, _ in lane.under_way:
                delivery.end()
        lane.spooled = []

    # to the spool, and from there to Kafka

    def _divert(self, lane: Lane) -> None:
        """Spool what waits for a partition, in its order; what comes goes behind it until it is drained."""
        lane.spooling = True
        under_way, waiting = lane.take()
        if under_way or waiting:
            spooled = self._to_spool(under_way, waiting)
            if under_way:
                lane.spooled, lane.under_way = spooled, under_way[: len(spooled)]

    def _to_spool(self, under_way: list[Entry], waiting: list[Entry]) -> list[Spooled]:
        """Spool records, and settle them when they are on disk; returns those that are under way."""
        entries = [*under_way, *waiting]
        spooled = [
            Spooled(entry.record, self._hash(entry.record.key), taken=number < len(under_way))
            for number, entry in enumerate(entries)
        ]
        room, written = self._spool.append(spooled)
        for delivery, index in entries[room:]:
            delivery.settle(index, False)

        def settle(done: asyncio.Future[bool]) -> None:
            for delivery, index in entries[:room]:
                delivery.settle(index, done.result())

        written.add_done_callback(settle)
        return spooled[: min(room, len(under_way))]

    async def _drain(self, lane: Lane) -> None:
        """Drain a lane, and go on with what waits."""
        try:
            await drain(lane, self._spool, self._connection, self._transmit)
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


def _hash(key: bytes) -> int:
    """Kafka's hash of a key."""
    return int(murmur2(key)) & 0x7FFFFFFF
