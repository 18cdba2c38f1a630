"""Rate limits: a token bucket for each application, and for each key, that has one."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from gateway.access.api_keys import Limit
from gateway.problems import RateLimited

_ROUNDING = 1e-6


class Bucket:
    """Holds up to `burst` events, and gains `rate` of them each second.

    A request of more events than `burst` is let through when the bucket is full, and leaves a debt; the requests that
    come next wait until it is paid. Any request gets through in the end, and the mean rate holds.
    """

    def __init__(self, limit: Limit, now: float) -> None:
        self.limit = limit
        self._level = limit.burst
        self._at = now

    def wait(self, events: int, now: float) -> float:
        """Return the seconds until so many events may be taken; 0 where they may be now."""
        self._level = min(self.limit.burst, self._level + (now - self._at) * self.limit.rate)
        self._at = now
        missing = min(events, self.limit.burst) - self._level
        return missing / self.limit.rate if missing > _ROUNDING else 0.0

    def take(self, events: int) -> None:
        """Take so many events."""
        self._level -= events

    def change(self, limit: Limit) -> None:
        """Take another limit, and keep no more in the bucket than it allows."""
        self.limit = limit
        self._level = min(self._level, limit.burst)


class Rates:
    """The buckets of one process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: dict[str, Bucket] = {}

    def check(self, limits: Sequence[Limit]) -> None:
        """Raise RateLimited where not a single event may be taken now."""
        self._ready(limits, 1)

    def take(self, limits: Sequence[Limit], events: int) -> None:
        """Take events under every limit, or none of them. Raises RateLimited."""
        for bucket in self._ready(limits, events):
            bucket.take(events)

    def _ready(self, limits: Sequence[Limit], events: int) -> list[Bucket]:
        now = self._clock()
        buckets = [self._bucket(limit, now) for limit in limits]
        for bucket in buckets:
            if seconds := bucket.wait(events, now):
                raise RateLimited(bucket.limit.name, bucket.limit.rate, seconds)
        return buckets

    def _bucket(self, limit: Limit, now: float) -> Bucket:
        bucket = self._buckets.get(limit.name)
        if bucket is None:
            bucket = self._buckets[limit.name] = Bucket(limit, now)
        elif bucket.limit != limit:
            bucket.change(limit)
        return bucket
