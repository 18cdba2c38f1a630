"""Lag of the live pipeline, read from the rows of its own traffic."""

from __future__ import annotations

import asyncio
import math
import threading
import time

import psycopg

from tests.faults.harness.traffic import LANES, lane_sessions

_NEWEST = """
select newest.source_partition, extract(epoch from max(newest.occurred_at))::float8
from unnest(%s::text[]) as session (id) cross join lateral (
    select source_partition, occurred_at from eye.events
    where session_id = session.id order by occurred_at desc, event_id desc limit 1
) newest
group by newest.source_partition
"""

_SAMPLE_SECONDS = 0.1
_CALM_SECONDS, _CALM_LAG_SECONDS, _CALM_WITHIN_SECONDS = 3.0, 1.5, 180.0


class LiveLag(threading.Thread):
    """Samples the age of the newest event that is stored, of the partition that is furthest behind.

    An event's age counts from when it was made to be sent. Rows that vanish with their table have been there.
    """

    def __init__(self, dsn: str) -> None:
        super().__init__(name="live lag", daemon=True)
        self._dsn = dsn
        self._samples: list[tuple[float, float]] = []
        self._newest: dict[int, float] = {}
        self._ending = threading.Event()

    def worst(self, since: float, until: float) -> float:
        """Return the longest lag between two moments of `time.monotonic`, in seconds."""
        return max((lag for moment, lag in self._samples if since <= moment <= until), default=math.inf)

    async def calm(self) -> None:
        """Wait until it has kept up for a while, from a while after now on."""
        begun = time.monotonic()
        async with asyncio.timeout(_CALM_WITHIN_SECONDS):
            while True:
                await asyncio.sleep(_SAMPLE_SECONDS)
                lately = time.monotonic() - _CALM_SECONDS
                if lately > begun and self.worst(lately, time.monotonic()) < _CALM_LAG_SECONDS:
                    return

    def finish(self) -> None:
        """Take no more samples."""
        self._ending.set()
        self.join()

    def run(self) -> None:
        """Sample, in the thread."""
        sessions = [session for lane in range(LANES) for session in lane_sessions(lane)]
        with psycopg.connect(self._dsn, autocommit=True) as connection:
            while not self._ending.wait(_SAMPLE_SECONDS):
                try:
                    found = connection.execute(_NEWEST, (sessions,)).fetchall()
                except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
                    found = []
                for partition, moment in found:
                    self._newest[partition] = max(moment, self._newest.get(partition, 0.0))
                if self._newest:
                    self._samples.append((time.monotonic(), time.time() - min(self._newest.values())))
