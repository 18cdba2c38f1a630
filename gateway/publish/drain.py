"""Draining: what is spooled for a partition goes to Kafka in its order, and then the partition flows again.

A record leaves the spool only after Kafka's acknowledgement. So what was acknowledged just before this process
was killed is sent again by the one that takes the spool over, with the same event_id; so is a record whose first
send was given up although the broker had it. Both copies are in `events.raw`; the stream's duplicate window
leaves one of them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from gateway.publish.connection import Connection
from gateway.publish.partition_queue import Lane
from gateway.spool.segment import Spooled
from gateway.spool.segments import Cursor
from gateway.spool.spool import Spool


class Undelivered(Exception):
    """Kafka did not take a batch for good, or there is no connection to send it by."""


Transmit = Callable[[Any, Any, Lane], Awaitable[None]]
"""Sends a batch with a producer to a lane's partition; returns when it is acknowledged, or raises Undelivered."""


async def drain(lane: Lane, spool: Spool, connection: Connection, transmit: Transmit) -> None:
    """Send what is spooled for a lane, oldest first, until there is nothing; then what comes waits in the lane.

    It ends however much is spooled for other lanes meanwhile. Nothing else may send to the partition. Raises
    Undelivered; what was not sent is still there.
    """
    sender = _Sender(lane, spool, connection, transmit)
    while lane.spooling:
        await sender.send_all()
        # what comes from now on waits in the lane, so that the last few can't be followed by more for ever
        lane.spooling = False
        await sender.send_all()


class _Sender:
    """Reads and sends piece by piece, from the beginning of the spool on."""

    def __init__(self, lane: Lane, spool: Spool, connection: Connection, transmit: Transmit) -> None:
        self._lane = lane
        self._spool = spool
        self._connection = connection
        self._transmit = transmit
        self._partitions = connection.partitions
        self._cursor = Cursor()

    async def send_all(self) -> None:
        """Send what is in the spool now, and much of what is added to it meanwhile."""
        await self._spool.settled()
        is_last = False
        while not is_last:
            self._producer()  # nothing is read that can't be sent
            entries, reached, is_last = await self._spool.read(
                self._cursor, self._lane.partition, self._partitions, self._lane.piece_bytes
            )
            await self._send(entries)
            self._cursor = reached

    async def _send(self, entries: list[Spooled]) -> None:
        sent = 0
        try:
            while sent < len(entries):
                producer = self._producer()
                batch = producer.create_batch()
                fitting = sent + _fill(batch, entries[sent:])
                if fitting == sent:
                    raise Undelivered(f"record {entries[sent].id} of the spool is too large for a batch")
                await self._transmit(producer, batch, self._lane)
                self._spool.remove(entries[sent:fitting])
                sent = fitting
        except BaseException:
            self._spool.release(entries[sent:])
            raise

    def _producer(self) -> Any:
        producer = self._connection.producer
        if producer is None or self._connection.partitions != self._partitions:
            raise Undelivered("the connection to Kafka, or the number of partitions, has changed")
        return producer


def _fill(batch: Any, entries: list[Spooled]) -> int:
    """Append records to a batch; returns how many fit."""
    for number, entry in enumerate(entries):
        key, value, headers, timestamp = entry.record
        if batch.append(timestamp=timestamp, key=key, value=value, headers=headers) is None:
            return number
    return len(entries)
