"""Where each partition is read from, and how far ahead of its work reading may be."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress

from faust.types import TP

MAX_PENDING = 1
"""How many chunks of a partition may wait or be worked on before its reading pauses; what is fetched meanwhile
waits as bytes, which is little beside the records unpacked."""


class Reading:
    """What the consumer reads for this process: nothing, until a partition's work says from where.

    Lives in one event loop; the consumer's thread does not touch it.
    """

    def __init__(self) -> None:
        self._positions: dict[TP, int] = {}
        self._seeks: dict[TP, int] = {}
        self._pending: dict[TP, int] = {}
        self._changed = asyncio.Event()

    def start(self, tp: TP, offset: int) -> None:
        """Read this partition from an offset on; what was read of it before is forgotten."""
        self._positions.pop(tp, None)
        self._seeks[tp] = offset
        self._pending[tp] = 0
        self._changed.set()

    def stop(self, tp: TP) -> None:
        """Read this partition no more."""
        for per_partition in (self._positions, self._seeks, self._pending):
            per_partition.pop(tp, None)
        self._changed.set()

    def finished(self, tp: TP) -> None:
        """One chunk of this partition is done with: room for another."""
        if self._pending.get(tp):
            self._pending[tp] -= 1
            self._changed.set()

    # the consumer's side

    def take_seeks(self) -> dict[TP, int]:
        """Return the partitions to seek, with their offsets; each is returned once."""
        seeks, self._seeks = self._seeks, {}
        return seeks

    def sought(self, tp: TP, offset: int) -> None:
        """Note that reading now stands at this offset, unless it was moved or stopped meanwhile."""
        if tp not in self._seeks and tp in self._pending:
            self._positions[tp] = offset

    def wanted(self, assigned: Iterable[TP]) -> tuple[set[TP], bool]:
        """Return the partitions to fetch now, and whether any other waits for its work to catch up."""
        readable = [tp for tp in assigned if tp in self._positions]
        wanted = {tp for tp in readable if self._pending[tp] < MAX_PENDING}
        return wanted, len(wanted) < len(readable)

    def position(self, tp: TP) -> int | None:
        """Return the next offset wanted of a partition; None when it is not read."""
        return self._positions.get(tp)

    def is_idle(self, tp: TP, position: int) -> bool:
        """Tell whether all that was read of a partition has been worked on, up to this position."""
        return not self._pending.get(tp) and self._positions.get(tp) == position

    def advance(self, tp: TP, offset: int) -> None:
        """Note that a chunk up to this offset is on its way."""
        self._positions[tp] = offset
        self._pending[tp] += 1

    async def wait_for_change(self, seconds: float) -> None:
        """Wait until a partition starts, stops or has room again, at most this long."""
        self._changed.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), seconds)
