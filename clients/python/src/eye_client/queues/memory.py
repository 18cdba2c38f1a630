"""The queue in memory."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence
from itertools import islice

from eye_client.queues.queue import Entry, fitting


class MemoryQueue:
    """Events in memory, bounded by their number and by their bytes; those that are lent count as well.

    A full queue takes no new event: what it took before has precedence.
    """

    def __init__(self, max_events: int, max_bytes: int) -> None:
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._lock = threading.RLock()  # a signal's handler may send while its thread is in here
        self._waiting: deque[bytes] = deque()
        self._lent: list[Entry] = []
        self._bytes = 0

    def put(self, body: bytes) -> bool:
        """Keep an event; False where there is no room for it."""
        with self._lock:
            if len(self) >= self._max_events or self._bytes + len(body) > self._max_bytes:
                return False
            self._bytes += len(body)
            self._waiting.append(body)
            return True

    def take(self, events: int, size: int) -> list[Entry]:
        """Lend the oldest events, up to so many and to so many bytes, one at least; empty where none waits."""
        with self._lock:
            self._waiting.extendleft(entry.body for entry in reversed(self._lent))  # of a take that never ended
            found = [Entry(0, body) for body in islice(self._waiting, events)]
            self._lent = found[: fitting(found, size)]
            for _ in self._lent:
                self._waiting.popleft()
            return self._lent

    def end(self, settled: Sequence[Entry], again: Sequence[Entry]) -> None:
        """End the last `take`: forget what is settled, keep the rest before what came later."""
        with self._lock:
            if not self._lent:  # `abandon` came first
                return
            self._lent = []
            self._waiting.extendleft(entry.body for entry in reversed(again))
            self._bytes -= sum(len(entry.body) for entry in settled)

    def abandon(self) -> list[bytes]:
        """Give all events away, those that are lent included."""
        with self._lock:
            left = [*(entry.body for entry in self._lent), *self._waiting]
            self._lent = []
            self._waiting.clear()
            self._bytes = 0
            return left

    def __len__(self) -> int:
        """Return how many events wait or are lent."""
        return len(self._waiting) + len(self._lent)
