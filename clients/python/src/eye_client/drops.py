"""Events that the client itself dropped: counted by reason, and reported to the gateway."""

from __future__ import annotations

import threading
from collections import Counter
from enum import Enum


class Reason(str, Enum):
    """The reason for which the client dropped an event. Never renamed: the gateway counts by it."""

    QUEUE_FULL = "queue_full"
    """Memory, and the disk where there is a queue on it, held all they may."""
    NOT_JSON = "not_json"
    """A value has no form in JSON."""
    INVALID = "invalid"
    """A model's own rules refused it."""
    TOO_LARGE = "too_large"
    """It was larger than `max_event_bytes`."""
    CLOSED = "closed"
    """The client was closed before it could be delivered, or before it was sent."""
    INTERNAL_ERROR = "internal_error"
    """A bug of the client; its log tells more."""


class Drops:
    """Counts of dropped events: all of them, and those that are not reported to the gateway yet."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a signal's handler may send while its thread is in here
        self._total: Counter[Reason] = Counter()
        self._unreported: Counter[Reason] = Counter()

    def add(self, reason: Reason, count: int = 1) -> int:
        """Count dropped events; returns how many were dropped for this reason so far."""
        with self._lock:
            self._total[reason] += count
            self._unreported[reason] += count
            return self._total[reason]

    @property
    def total(self) -> dict[str, int]:
        """All dropped events, by reason."""
        with self._lock:
            return {reason.value: count for reason, count in self._total.items()}

    def unreported(self) -> dict[str, int]:
        """Return the counts that are not reported yet, by reason."""
        with self._lock:
            return {reason.value: count for reason, count in self._unreported.items() if count}

    def note_reported(self, counts: dict[str, int]) -> None:
        """Note that these counts are reported."""
        with self._lock:
            for reason, count in counts.items():
                self._unreported[Reason(reason)] -= count
