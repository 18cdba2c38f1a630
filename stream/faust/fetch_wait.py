"""How long Kafka gathers records before it answers a fetch."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

BUSY_CHUNKS = 20
"""With more chunks than this within a second, each had better be larger."""

_GATHERED_BYTES = 1024 * 1024


class Fetch(NamedTuple):
    """When a fetch is answered: once there are so many bytes, and after so many milliseconds whatever there is."""

    min_bytes: int
    max_wait_ms: int


AT_ONCE = Fetch(1, 500)


class Pace:
    """Fetches at once what there is, unless chunks are many: then they are gathered for a while, and are fewer.

    Most of what a small chunk costs is its transaction. A trickle of events in each partition would have as many
    transactions as the cores can do, and each event would wait for its turn.
    """

    def __init__(self, gather_ms: int, most_bytes: int, now: Callable[[], float] = time.monotonic) -> None:
        """`gather_ms`: how long, 0 for never; `most_bytes`: what a fetch brings of a partition at most."""
        self._gathering = Fetch(min(_GATHERED_BYTES, most_bytes), gather_ms) if gather_ms else AT_ONCE
        self._chunks: deque[float] = deque(maxlen=BUSY_CHUNKS)
        self._now = now

    def note_chunk(self) -> None:
        """Note that a chunk is on its way."""
        self._chunks.append(self._now())

    def fetch(self) -> Fetch:
        """Return how the next fetch is to be answered."""
        busy = len(self._chunks) == BUSY_CHUNKS and self._now() - self._chunks[0] < 1
        return self._gathering if busy else AT_ONCE
