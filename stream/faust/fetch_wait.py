"""Decide how long Kafka gathers records before it answers a fetch."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

BUSY_CHUNKS = 20
"""Chunks a second from which on fetches gather records."""

_GATHERED_BYTES = 1024 * 1024


class Fetch(NamedTuple):
    """A fetch is answered once there are `min_bytes`, and after `max_wait_ms` at the latest."""

    min_bytes: int
    max_wait_ms: int


AT_ONCE = Fetch(1, 500)


class FetchWait:
    """Fetch at once while chunks are few; let the broker gather records for a while when they are many.

    Most of the cost of a small chunk is its transaction. With a trickle of events in each partition, ungathered
    fetches would cause as many transactions as the cores can do, and each event would wait for its turn.
    """

    def __init__(self, gather_ms: int, most_bytes: int, now: Callable[[], float] = time.monotonic) -> None:
        """Gather for `gather_ms` (0: never), up to `most_bytes`, the most that a fetch returns of a partition."""
        self._gathering = Fetch(min(_GATHERED_BYTES, most_bytes), gather_ms) if gather_ms else AT_ONCE
        self._chunks: deque[float] = deque(maxlen=BUSY_CHUNKS)
        self._now = now

    def note_chunk(self) -> None:
        """Count a delivered chunk."""
        self._chunks.append(self._now())

    def fetch(self) -> Fetch:
        """Return the limits of the next fetch."""
        busy = len(self._chunks) == BUSY_CHUNKS and self._now() - self._chunks[0] < 1
        return self._gathering if busy else AT_ONCE
