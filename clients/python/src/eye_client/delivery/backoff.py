"""The pause after a failure."""

from __future__ import annotations

import random


class Backoff:
    """Pauses that double with each failure in a row, drawn between half and all of it so that clients spread."""

    def __init__(self, shortest: float) -> None:
        self._shortest = shortest
        self.failures = 0

    def fail(self, longest: float, retry_after: float) -> float:
        """Return the seconds to wait, at most the longest, but never less than the gateway asked for."""
        pause = min(max(longest, self._shortest), self._shortest * 2.0 ** min(self.failures, 30))
        self.failures += 1
        drawn = pause * random.uniform(0.5, 1.0)
        return max(drawn, retry_after * random.uniform(1.0, 1.1))

    def succeed(self) -> None:
        """Begin anew."""
        self.failures = 0
