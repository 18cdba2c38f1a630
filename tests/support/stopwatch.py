"""Time as a test may count it, on a machine that others use as well."""

from __future__ import annotations

import os
import time
from pathlib import Path

_STEAL = 8
_TICKS = os.sysconf("SC_CLK_TCK")


class Stopwatch:
    """Counts from when it is made: seconds in which the processors were ours.

    What the host gave to other machines is no delay of The Eye's. With several processors all that was taken from any
    of them is left out: who is waited for may have run on each of them in turn.
    """

    def __init__(self) -> None:
        self._since, self._stolen = time.monotonic(), _stolen_seconds()

    @property
    def seconds(self) -> float:
        """Time that has passed since."""
        return time.monotonic() - self._since - (_stolen_seconds() - self._stolen)


def _stolen_seconds() -> float:
    """Return what the host has taken of all processors since it started, in seconds (`steal` of /proc/stat)."""
    processors = Path("/proc/stat").read_text().splitlines()[0].split()
    return int(processors[_STEAL]) / _TICKS
