"""The queue of one partition of `events.raw`: the records that wait for Kafka, and the batch that is in flight."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from enum import Enum, auto
from typing import Any, NamedTuple

import msgspec

from gateway.outgoing import Outcome, OutgoingRecord
from gateway.publish.sender import Sender, TooLargeForTopic, Undelivered, send_halves
from gateway.spool.record import Spooled
from gateway.spool.spool import Spool

PIECE_BYTES = 256 * 1024
"""Bytes of the spool that are read and sent at once; records to be spooled wait for the reading."""

_DURABLE = Outcome.DURABLE


class Delivery(msgspec.Struct):
    """The records of one call and their outcomes so far; `done` gets all outcomes, RETRY where there is none yet."""

    records: Sequence[OutgoingRecord]
    began: float
    done: asyncio.Future[list[Outcome]]
    outcomes: list[Outcome | None]
    missing: int

    def settle(self, index: int, outcome: Outcome) -> None:
        """Note the outcome of a record; a durable one stays so. The last one ends the wait."""
        if self.done.done():
            return
        known = self.outcomes[index]
        if known is None:
            self.missing -= 1
        if known is not _DURABLE:
            self.outcomes[index] = outcome
        if self.missing == 0:
            self.done.set_result([known or Outcome.RETRY for known in self.outcomes])

    def end(self) -> None:
        """Stop waiting; a record that Kafka's client does not have yet is not sent."""
        if not self.done.done():
            self.done.set_result([known or Outcome.RETRY for known in self.outcomes])


class Entry(NamedTuple):
    """One record of a delivery, with Kafka's hash of its key."""

    delivery: Delivery
    position: int
    key_hash: int

    @property
    def record(self) -> OutgoingRecord:
        """The record itself."""
        return self.delivery.records[self.position]

    def settle(self, outcome: Outcome) -> None:
        """Note the outcome of the record."""
        self.delivery.settle(self.position, outcome)


class State(Enum):
    """The way of a partition's new records.

    SENDING: they wait here for Kafka. SPOOLING: they go to the spool. DRAINING: the spool is being sent to Kafka,
    new ones go behind it. FINISHING: the last spooled ones are being sent, new ones wait here.
    """

    SENDING = auto()
    SPOOLING = auto()
    DRAINING = auto()
    FINISHING = auto()


class PartitionQueue:
    """One partition's records, of which at most one batch is in flight.

    `copies` has the spooled copy of each of its records once it was copied, or None where there was no room or nobody
    waited.

    `task` is the one that may send to the partition: it sends the records that wait, or drains the spool, not before
    `resume_at` of the loop's clock and `piece_bytes` at a time.
    """

    __slots__ = (
        "_sender", "_spool", "copies", "in_flight", "partition", "piece_bytes", "resume_at", "state", "task", "waiting"
    )  # fmt: skip

    def __init__(self, partition: int, state: State, sender: Sender, spool: Spool) -> None:
        self._sender = sender
        self._spool = spool
        self.partition = partition
        self.state = state
        self.waiting: deque[Entry] = deque()
        self.in_flight: list[Entry] = []
        self.copies: list[Spooled | None] = []
        self.task: asyncio.Task[None] | None = None
        self.resume_at = 0.0
        self.piece_bytes = PIECE_BYTES

    def add(self, entry: Entry) -> bool:
        """Let a record wait behind all others, and begin to send; returns False where it has to be spooled instead."""
        if self.state is not State.SENDING and self.state is not State.FINISHING:
            return False
        self.waiting.append(entry)
        if self.task is None:
            self.task = asyncio.create_task(self._send_waiting())
        return True

    def resume(self) -> None:
        """Send the records that wait, unless that, or draining, is under way."""
        if self.waiting and self.task is None:
            self.task = asyncio.create_task(self._send_waiting())

    def switch_to_spool(self) -> None:
        """Copy the batch in flight to the spool, move the waiting records there, and send new ones behind them."""
        self.state = State.SPOOLING
        in_flight = [] if self.copies else [entry for entry in self.in_flight if not entry.delivery.done.done()]
        waiting = [entry for entry in self.waiting if not entry.delivery.done.done()]
        self.waiting.clear()
        if in_flight or waiting:
            made = iter(spool_entries(self._spool, in_flight, waiting))
            if in_flight:
                self.copies = [next(made, None) if entry in in_flight else None for entry in self.in_flight]

    def waiting_since(self) -> float | None:
        """Return the time of the loop's clock at which the oldest record came that is neither durable nor spooled."""
        self.forget_ended()
        entries = self.in_flight if self.in_flight and not self.copies else self.waiting
        return entries[0].delivery.began if entries else None

    def forget_ended(self) -> None:
        """Drop records that nobody waits for any more; deliveries end in the order they came."""
        while self.waiting and self.waiting[0].delivery.done.done():
            self.waiting.popleft()

    async def _send_waiting(self) -> None:
        """Send batch after batch until no record waits, or the connection is lost."""
        try:
            while self.waiting and self._sender.connected:
                try:
                    await self._sender.send(self.partition, self._fill)
                except TooLargeForTopic:
                    records = [entry.record for entry in self.in_flight]
                    await send_halves(self._sender, self.partition, records, self._acknowledge, self._refuse_first)
                else:
                    self._acknowledge(len(self.in_flight))
        except Undelivered:
            self._give_up()
        except BaseException:
            self._give_up()
            raise
        finally:
            self.in_flight, self.task = [], None

    def _fill(self, batch: Any) -> None:
        """Move waiting records into a batch and in flight, as many as fit."""
        self.in_flight = []
        while self.waiting:
            entry = self.waiting[0]
            if not entry.delivery.done.done():
                key, value, headers, timestamp = entry.record
                if batch.append(timestamp=timestamp, key=key, value=value, headers=headers) is None:
                    break
                self.in_flight.append(entry)
            self.waiting.popleft()

    def _acknowledge(self, count: int) -> None:
        """Settle the first records in flight: Kafka has them."""
        for delivery, index, _ in self.in_flight[:count]:
            delivery.settle(index, _DURABLE)
        if copies := self._take_first(count):
            self._spool.remove(copies)

    def _refuse_first(self) -> None:
        """Settle the first record in flight: it is too large for the topic. A copy in the spool is set aside."""
        self.in_flight[0].settle(Outcome.TOO_LARGE)
        for copy in self._take_first(1):
            self._spool.set_aside(copy)

    def _give_up(self) -> None:
        """Spool the batch in flight, which failed for good; without a spool its senders get RETRY."""
        copies, self.copies = self.copies, []
        self._spool.release([copy for copy in copies if copy is not None])
        if self._spool.enabled:
            if not copies:
                self.waiting.extendleft(reversed(self.in_flight))
            self.in_flight = []
            self.switch_to_spool()
        else:
            # the rest of these deliveries must not overtake the records that failed
            for entry in self.in_flight:
                entry.delivery.end()

    def _take_first(self, count: int) -> list[Spooled]:
        copies = [copy for copy in self.copies[:count] if copy is not None]
        del self.in_flight[:count], self.copies[:count]
        return copies


def spool_entries(spool: Spool, in_flight: Sequence[Entry], waiting: Sequence[Entry]) -> list[Spooled]:
    """Spool records, and settle them when they are on disk; returns the copies of those in flight, which are leased."""
    entries = [*in_flight, *waiting]
    spooled = [
        Spooled(entry.record, entry.key_hash, leased=number < len(in_flight)) for number, entry in enumerate(entries)
    ]
    room, written = spool.append(spooled)
    for entry in entries[room:]:
        entry.settle(Outcome.RETRY)

    def settle(done: asyncio.Future[bool]) -> None:
        outcome = Outcome.DURABLE if done.result() else Outcome.RETRY
        for entry in entries[:room]:
            entry.settle(outcome)

    written.add_done_callback(settle)
    return spooled[: min(room, len(in_flight))]
