"""Draining: the spooled records of a partition go to Kafka in their order, then the partition takes new ones again.

A record leaves the spool only after Kafka's acknowledgement. So a record that was acknowledged just before this
process was killed is sent again by the one that takes the spool over, with the same event_id; so is a record whose
first send was given up although the broker had it. Both copies are in `events.raw`; the stream's duplicate window
leaves one of them. A record that the topic finds too large is set aside, and the ones behind it go on.
"""

from __future__ import annotations

from gateway.publish.partition_queue import PartitionQueue, State
from gateway.publish.sender import Sender, Undelivered, send_all
from gateway.spool.record import Spooled
from gateway.spool.segments import Cursor
from gateway.spool.spool import Spool


async def drain(queue: PartitionQueue, spool: Spool, sender: Sender) -> None:
    """Send the spooled records of a queue, oldest first, until there is none; then the queue takes new ones.

    It ends however much is spooled for other queues meanwhile. Nothing else may send to the partition. Raises
    Undelivered; the records that were not sent are still there.
    """
    drainer = _Drainer(queue, spool, sender)
    while queue.state is State.SPOOLING:
        queue.state = State.DRAINING
        await drainer.send_all()
        # new records wait in the queue from now on, so that the last few can't be followed by more for ever
        if queue.state is State.DRAINING:
            queue.state = State.FINISHING
        await drainer.send_all()
    queue.state = State.SENDING


class _Drainer:
    """Reads and sends piece by piece, from the beginning of the spool on."""

    def __init__(self, queue: PartitionQueue, spool: Spool, sender: Sender) -> None:
        self._queue = queue
        self._spool = spool
        self._sender = sender
        self._partitions = sender.partitions
        self._cursor = Cursor()

    async def send_all(self) -> None:
        """Send all that is in the spool now, and much of what is added to it meanwhile."""
        await self._spool.settled()
        is_last = False
        while not is_last:
            self._check_partitions()  # nothing is read that can't be sent
            entries, reached, is_last = await self._spool.read(
                self._cursor, self._queue.partition, self._partitions, self._queue.piece_bytes
            )
            await self._send(entries)
            self._cursor = reached

    async def _send(self, entries: list[Spooled]) -> None:
        sent = 0

        def acknowledged(count: int) -> None:
            nonlocal sent
            self._spool.remove(entries[sent : sent + count])
            sent += count

        def refused() -> None:
            nonlocal sent
            self._spool.set_aside(entries[sent])
            sent += 1

        try:
            if entries:
                self._check_partitions()
                records = [entry.record for entry in entries]
                await send_all(self._sender, self._queue.partition, records, acknowledged, refused)
        except BaseException:
            self._spool.release(entries[sent:])
            raise

    def _check_partitions(self) -> None:
        if not self._sender.connected or self._sender.partitions != self._partitions:
            raise Undelivered("the connection to Kafka, or the number of partitions, has changed")
