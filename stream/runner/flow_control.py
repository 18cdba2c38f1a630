"""Flow control: the offset each partition is read from, and how far reading may run ahead of its work."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress

from aiokafka import TopicPartition

MAX_PENDING = 1
"""Chunks of a partition that may wait or be in process before its reading pauses. Data fetched meanwhile waits as
packed bytes, which are small beside unpacked records."""


class FlowControl:
    """Decides which partitions the consumer fetches: none, until a partition's work names the offset to read from.

    Used in one event loop only; the consumer's thread does not touch it.
    """

    def __init__(self) -> None:
        self._positions: dict[TopicPartition, int] = {}
        self._seeks: dict[TopicPartition, int] = {}
        self._pending: dict[TopicPartition, int] = {}
        self._changed = asyncio.Event()

    def start(self, tp: TopicPartition, offset: int) -> None:
        """Read this partition from an offset on; chunks read before no longer count."""
        self._positions.pop(tp, None)
        self._seeks[tp] = offset
        self._pending[tp] = 0
        self._changed.set()

    def stop(self, tp: TopicPartition) -> None:
        """Stop reading this partition."""
        for per_partition in (self._positions, self._seeks, self._pending):
            per_partition.pop(tp, None)
        self._changed.set()

    def finished(self, tp: TopicPartition) -> None:
        """Note that one chunk of this partition is done, which makes room for another."""
        if self._pending.get(tp):
            self._pending[tp] -= 1
            self._changed.set()

    # called by the consumer

    def take_seeks(self) -> dict[TopicPartition, int]:
        """Return the partitions to seek, with their offsets; each is returned once."""
        seeks, self._seeks = self._seeks, {}
        return seeks

    def sought(self, tp: TopicPartition, offset: int) -> None:
        """Note that the consumer sought to this offset, unless the partition was moved or stopped meanwhile."""
        if tp not in self._seeks and tp in self._pending:
            self._positions[tp] = offset

    def wanted(self, assigned: Iterable[TopicPartition]) -> tuple[set[TopicPartition], bool]:
        """Return the partitions to fetch now, and whether any other waits for its work to catch up."""
        readable = [tp for tp in assigned if tp in self._positions]
        wanted = {tp for tp in readable if self._pending[tp] < MAX_PENDING}
        return wanted, len(wanted) < len(readable)

    def position(self, tp: TopicPartition) -> int | None:
        """Return the next offset to read of a partition; None when it is not read."""
        return self._positions.get(tp)

    def is_idle(self, tp: TopicPartition, position: int) -> bool:
        """Return whether all that was read of a partition has been processed, up to this position."""
        return not self._pending.get(tp) and self._positions.get(tp) == position

    def advance(self, tp: TopicPartition, offset: int) -> None:
        """Note that a chunk up to this offset was delivered."""
        self._positions[tp] = offset
        self._pending[tp] += 1

    async def wait_for_change(self, seconds: float) -> None:
        """Wait until a partition starts, stops or has room again, at most this long."""
        self._changed.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), seconds)
