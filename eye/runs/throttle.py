"""Speed limit of a run."""

from __future__ import annotations

import asyncio

from eye.runs.live_lag import LiveLag

CHUNK_RECORDS = 2_000
"""Most records of one transaction: few enough that the live pipeline, which may have to wait for it, hardly notices."""


class Throttle:
    """Keeps to a rate, in records per second (None: no limit), and waits while the live pipeline is behind."""

    def __init__(self, rate: float | None = None, live_lag: LiveLag | None = None) -> None:
        self._rate, self._live_lag = rate, live_lag
        self._clock = asyncio.get_running_loop().time
        self._began = self._clock()
        self._done = 0

    @property
    def chunk_records(self) -> int:
        """Number of records to take at once; small for a low rate, so that the load is even."""
        return CHUNK_RECORDS if self._rate is None else max(1, min(CHUNK_RECORDS, int(self._rate)))

    async def wait(self, records: int) -> None:
        """Wait until so many more records may be done, and the live pipeline keeps up."""
        self._done += records
        if self._rate is not None:
            await asyncio.sleep(self._began + self._done / self._rate - self._clock())
        if self._live_lag is not None:
            await self._live_lag.wait_until_low()
