"""What waits for one partition of `events.raw`, and who waits for it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

from gateway.outgoing import OutgoingRecord
from gateway.spool.segment import Spooled

PIECE_BYTES = 256 * 1024
"""How much of the spool is read and sent at once; what is to be spooled waits for the reading."""


class Delivery:
    """The records of one call, and what became of each so far."""

    __slots__ = ("_durable", "_missing", "began", "done", "records")

    def __init__(self, records: Sequence[OutgoingRecord]) -> None:
        loop = asyncio.get_running_loop()
        self.records = records
        self.began = loop.time()
        self.done: asyncio.Future[None] = loop.create_future()
        self._durable: list[bool | None] = [None] * len(records)
        self._missing = len(records)

    @property
    def durable(self) -> list[bool]:
        """For each record whether it is durable."""
        return [bool(known) for known in self._durable]

    def settle(self, index: int, durable: bool) -> None:
        """Note what became of a record; the last one ends the wait."""
        if self.done.done():
            return
        if self._durable[index] is None:
            self._missing -= 1
        self._durable[index] = durable or bool(self._durable[index])
        if self._missing == 0:
            self.end()

    def end(self) -> None:
        """Wait no longer; what has not been handed to Kafka's client yet will not be."""
        if not self.done.done():
            self.done.set_result(None)


class Entry(NamedTuple):
    """One record of a delivery."""

    delivery: Delivery
    position: int

    @property
    def record(self) -> OutgoingRecord:
        """The record itself."""
        return self.delivery.records[self.position]


class Lane:
    """One partition: at most one batch is under way, `since` that time of the loop's clock.

    `spooling`: what comes goes to the spool, behind what is there of this partition. `task` is the one that may
    send to the partition: it sends what waits, or drains what is spooled, not before `resume_at` and
    `piece_bytes` at a time. `spooled` are the records under way that were spooled as well.
    """

    __slots__ = (
        "partition", "piece_bytes", "resume_at", "since", "spooled", "spooling", "task", "under_way", "waiting"
    )  # fmt: skip

    def __init__(self, partition: int, *, spooling: bool) -> None:
        self.partition = partition
        self.spooling = spooling
        self.waiting: deque[Entry] = deque()
        self.under_way: list[Entry] = []
        self.spooled: list[Spooled] = []
        self.task: asyncio.Task[None] | None = None
        self.since: float | None = None
        self.resume_at = 0.0
        self.piece_bytes = PIECE_BYTES

    def fill(self, batch: Any) -> bool:
        """Move what waits into a batch, as much as fits; False where nothing waits."""
        self.under_way = []
        while self.waiting:
            entry = self.waiting[0]
            if not entry.delivery.done.done():
                key, value, headers, timestamp = entry.record
                if batch.append(timestamp=timestamp, key=key, value=value, headers=headers) is None:
                    break
                self.under_way.append(entry)
            self.waiting.popleft()
        return bool(self.under_way)

    def waits_since(self) -> float | None:
        """When the oldest came of what waits for its acknowledgement and is not spooled; on the loop's clock."""
        self.forget_ended()
        entries = self.under_way if self.under_way and not self.spooled else self.waiting
        return entries[0].delivery.began if entries else None

    def take(self) -> tuple[list[Entry], list[Entry]]:
        """Take all that somebody waits for and that is not spooled: what is under way, and what waits."""
        under_way = [] if self.spooled else [e for e in self.under_way if not e.delivery.done.done()]
        waiting = [e for e in self.waiting if not e.delivery.done.done()]
        self.waiting.clear()
        return under_way, waiting

    def forget_ended(self) -> None:
        """Drop what nobody waits for any more; deliveries end in the order they came."""
        while self.waiting and self.waiting[0].delivery.done.done():
            self.waiting.popleft()
