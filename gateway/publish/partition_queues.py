"""The policy for every record: Kafka, else the spool, in order.

1. A record waits in the queue of its key's partition, and goes to Kafka in the next batch.
2. When Kafka is away, or has not acknowledged a record in `spool_after` seconds, the partition switches to the spool:
   its records in flight are copied there, its waiting ones moved, and new ones go behind them.
3. When Kafka is back, the spool of the partition is drained in its order. Then its queue takes new records again.

So records of one partition are never in another order than they came in. A record is settled once it is durable,
in Kafka or on disk, and never both as durable and as lost.
"""

from __future__ import annotations

import asyncio
import logging
from functools import lru_cache

from aiokafka.partitioner import murmur2

from gateway.publish.connection import Connection
from gateway.publish.drain import drain
from gateway.publish.partition_queue import PIECE_BYTES, Delivery, Entry, PartitionQueue, State, spool_entries
from gateway.publish.sender import Sender
from gateway.spool.spool import Spool
from schemas.record import place

log = logging.getLogger(__name__)

CHECK_SECONDS = 0.05
"""Time between two checks of the queues: which record waits too long, which partition can be drained."""

RESUME_SECONDS = 1.0
"""Time for which draining pauses after Kafka did not take a batch."""

KEYS_REMEMBERED = 65_536


class PartitionQueues:
    """Takes deliveries, and settles each of their records; `spool_after` in seconds."""

    def __init__(self, topic: str, connection: Connection, sender: Sender, spool: Spool, spool_after: float) -> None:
        self._topic = topic
        self._connection = connection
        self._sender = sender
        self._spool = spool
        self._spool_after = spool_after
        self._queues: dict[int, PartitionQueue] = {}
        self._partitions = 0
        self._hash = lru_cache(maxsize=KEYS_REMEMBERED)(hash_of_key)

    def enqueue(self, delivery: Delivery) -> None:
        """Put each record into the queue of its key, or into the spool behind the others of its partition."""
        to_spool: list[Entry] = []
        for index, record in enumerate(delivery.records):
            key_hash = self._hash(record.key)
            entry = Entry(delivery, index, key_hash)
            queue = self._queue_of(key_hash)
            if queue is None or not queue.add(entry):
                to_spool.append(entry)
        if to_spool:
            spool_entries(self._spool, [], to_spool)

    def resume(self) -> None:
        """Send the records that wait: the connection is there."""
        for queue in self._queues.values():
            queue.resume()

    def switch_to_spool(self) -> None:
        """Spool all records that wait; new ones go behind them until they are drained."""
        for queue in self._queues.values():
            queue.switch_to_spool()

    def forget_ended(self) -> None:
        """Drop records that nobody waits for any more."""
        for queue in self._queues.values():
            queue.forget_ended()

    async def wait(self, seconds: float) -> None:
        """Wait until nothing is under way, at most this long."""
        if tasks := self._tasks():
            await asyncio.wait(tasks, timeout=seconds)

    async def stop(self, seconds: float) -> None:
        """Wait until nothing is under way, and cancel what still is after this long."""
        await self.wait(seconds)
        tasks = self._tasks()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)

    async def monitor(self) -> None:
        """Check the queues again and again, until cancelled."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            try:
                self._check(asyncio.get_running_loop().time())
            except Exception:
                log.exception("checking the partitions failed; it is done again")

    def _check(self, now: float) -> None:
        """Spool what waits too long, and begin to drain what can be drained."""
        connection = self._connection
        if self._spool.enabled:
            for queue in self._queues.values():
                since = queue.waiting_since()
                if since is not None and (connection.fault is not None or now - since > self._spool_after):
                    queue.switch_to_spool()
        if connection.fault is not None or connection.producer is None:
            return
        if connection.partitions != self._partitions:
            # keys have moved: their spooled records may belong to another partition now
            self._partitions = connection.partitions
            if self._spool.records:
                self.switch_to_spool()
        if self._spool.records:
            for partition in range(connection.partitions):
                self._queue(partition)
        for queue in self._queues.values():
            if queue.state is State.SPOOLING and queue.task is None and now > queue.resume_at:
                queue.task = asyncio.create_task(self._drain(queue))

    def _queue_of(self, key_hash: int) -> PartitionQueue | None:
        """Return the queue of a key; None while the number of partitions is not known."""
        partitions = self._connection.partitions
        return self._queue(key_hash % partitions) if partitions else None

    def _queue(self, partition: int) -> PartitionQueue:
        queue = self._queues.get(partition)
        if queue is None:
            state = State.SPOOLING if self._spool.records else State.SENDING
            queue = self._queues[partition] = PartitionQueue(partition, state, self._sender, self._spool)
        return queue

    def _tasks(self) -> list[asyncio.Task[None]]:
        return [queue.task for queue in self._queues.values() if queue.task is not None]

    async def _drain(self, queue: PartitionQueue) -> None:
        """Drain a partition, and go on with the records that wait."""
        try:
            await drain(queue, self._spool, self._sender)
            queue.piece_bytes = PIECE_BYTES
        except Exception as error:
            log.warning(
                "draining the spool for partition %d is interrupted: %r",
                queue.partition,
                error,
                extra=place(self._topic, queue.partition),
            )
            queue.piece_bytes = max(1, queue.piece_bytes // 2)
            queue.resume_at = asyncio.get_running_loop().time() + RESUME_SECONDS
            queue.switch_to_spool()
        except asyncio.CancelledError:
            queue.switch_to_spool()
            raise
        finally:
            queue.task = None
        queue.resume()


def hash_of_key(key: bytes) -> int:
    """Return Kafka's hash of a key."""
    return int(murmur2(key)) & 0x7FFFFFFF
