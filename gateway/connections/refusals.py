"""The log of refused requests: who was refused and why, now and then, and never what was sent."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

log = logging.getLogger(__name__)

QUIET_SECONDS = 10.0
"""Requests refused for one reason are logged once in this time; the metric counts all."""


class Refusals:
    """Logs the first of the requests that are refused for one reason."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._quiet_until: dict[str, float] = {}

    def note(self, reason: str, address: str) -> None:
        """Log that a request from an address was refused, unless that was done a moment ago."""
        now = self._clock()
        if now >= self._quiet_until.get(reason, 0.0):
            self._quiet_until[reason] = now + QUIET_SECONDS
            log.warning("refused a request of %s: %s", address, reason)
