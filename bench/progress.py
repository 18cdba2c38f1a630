"""Timing a consumer that counts what it has done."""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Callable

WARM_UP = 0.05

_POLL_SECONDS = 0.01
"""Pause between two looks: long enough that they cost the measured process nothing."""

Figure = dict[str, float]


async def timed(done: Callable[[], int], number: int) -> Figure:
    """Wait until `done` says that all is done, and return the figures.

    `rate` is in events per second, `cpu_us` in microseconds an event, both after the first five percent.
    """
    while done() < number * WARM_UP:
        await asyncio.sleep(_POLL_SECONDS)
    begin, cpu, first = time.perf_counter(), _cpu(), done()
    while done() < number:
        await asyncio.sleep(_POLL_SECONDS)
    seconds, counted = time.perf_counter() - begin, done() - first
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"rate": counted / seconds, "cpu_us": (_cpu() - cpu) / counted * 1e6, "peak_rss_mib": peak}


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
