"""How fast a run goes."""

from __future__ import annotations

import asyncio

from eye.runs.live_lag import LiveLine

CHUNK_RECORDS = 2_000
"""Most records of one transaction: few enough that the live line, which may have to wait for it, hardly notices."""


class Pace:
    """Keeps to a rate, in records per second (None: as fast as it goes), and gives way to the live line."""

    def __init__(self, rate: float | None = None, line: LiveLine | None = None) -> None:
        self._rate, self._line = rate, line
        self._clock = asyncio.get_running_loop().time
        self._began = self._clock()
        self._done = 0

    @property
    def chunk_records(self) -> int:
        """How many records to take at once, so that a slow pace is an even one."""
        return CHUNK_RECORDS if self._rate is None else max(1, min(CHUNK_RECORDS, int(self._rate)))

    async def keep(self, records: int) -> None:
        """Wait until so many records more may have been done, and the line keeps up."""
        self._done += records
        if self._rate is not None:
            await asyncio.sleep(self._began + self._done / self._rate - self._clock())
        if self._line is not None:
            await self._line.give_way()
