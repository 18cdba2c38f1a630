"""The interface of a queue of events, in memory or on disk."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class Entry(NamedTuple):
    """An event that was taken from a queue: its place there, and its JSON."""

    place: int
    body: bytes


class Queue(Protocol):
    """Events that wait. One thread at a time takes; every method may be called by any thread."""

    def put(self, body: bytes) -> bool:
        """Keep an event; False where there is no room for it."""

    def take(self, events: int, size: int) -> list[Entry]:
        """Lend the oldest events, up to so many and to so many bytes, one at least; empty where none waits."""

    def end(self, settled: Sequence[Entry], again: Sequence[Entry]) -> None:
        """End the last `take`: forget what is settled, keep the rest before what came later."""


def fitting(entries: Sequence[Entry], size: int) -> int:
    """Return how many of the entries, from the first on, have so many bytes in all; at least one."""
    total = 0
    for count, entry in enumerate(entries):
        total += len(entry.body)
        if total > size:
            return max(1, count)
    return len(entries)
