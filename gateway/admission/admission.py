"""Admission of requests: the key, what the gateway holds at once, the rate limits, and the drain when it stops.

One way for every request that needs a key: `admit` it, `charge` its bytes and events, `close` the permit.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping

import msgspec

from gateway.access.api_keys import Grant, KeyRing, Scope
from gateway.access.authorization import authorize
from gateway.access.rate_limits import Rates
from gateway.metrics import Metrics
from gateway.problems import Overloaded

EVENT_BYTES = 2 * 1024
"""Bytes an event takes apart from its own while it waits for its acknowledgement, roughly."""

TICK_SECONDS = 0.1
LATE_SECONDS = 0.5
"""Lag of the event loop from which no further request is admitted: those admitted would be answered too late."""

BUSY_REQUESTS = 50
"""A lag is held against requests only when so many are under way, or they hold a quarter of the bytes."""


UNKNOWN_SHARE = 0.25
"""The share of requests, and of bytes, that senders may hold whose key is still on its way."""

NOBODY = Grant("", frozenset())
"""The grant of a sender that has not shown its key yet: it has no rights."""

_OVERLOADED = "Too many requests are under way: send it again."


class Permit(msgspec.Struct):
    """One admitted request: the grant of its key, or NOBODY before that is known, and the bytes it is charged with."""

    grant: Grant
    bytes: int = 0


class Admission:
    """Admits requests within `max_requests` and `max_bytes`, and under the rate limits of their keys.

    A request that is alone may hold any number of bytes. An admitted one is never refused for others that
    come later, unless its own body grows beyond what is left.
    """

    def __init__(self, keys: KeyRing, metrics: Metrics, *, max_requests: int, max_bytes: int) -> None:
        self._keys = keys
        self._rates = Rates()
        self.max_requests = max_requests
        self.max_bytes = max_bytes
        self.requests = 0
        self.bytes = 0
        self._draining = False
        self._without_permit = 0
        self._unknown_requests = self._unknown_bytes = 0
        self._none_left = asyncio.Event()
        self._tick_due = float("inf")
        metrics.requests_under_way.set_function(lambda: self.requests)
        metrics.bytes_under_way.set_function(lambda: self.bytes)

    def admit(self, headers: Mapping[str, str], scopes: frozenset[Scope]) -> Permit:
        """Admit a request whose key has one of `scopes`, or any key where there are none.

        Raises Unauthorized, Forbidden, or Overloaded where too many are admitted or the event loop lags.
        """
        grant = authorize(self._keys, headers, scopes)
        self._begin()
        return Permit(grant)

    def admit_unknown(self) -> Permit:
        """Admit a request whose key is in its body; `identify` it as soon as that is read.

        Those without a known key hold a small share of what all may hold. Raises Overloaded beyond it.
        """
        if self._unknown_requests >= self.max_requests * UNKNOWN_SHARE:
            raise Overloaded(_OVERLOADED)
        self._begin()
        self._unknown_requests += 1
        return Permit(NOBODY)

    def identify(self, permit: Permit, headers: Mapping[str, str], scopes: frozenset[Scope]) -> None:
        """Give the permit of an unknown sender the grant of its key. Raises Unauthorized or Forbidden."""
        grant = authorize(self._keys, headers, scopes)
        self._forget_unknown(permit)
        permit.grant = grant

    def check_rate(self, permit: Permit) -> None:
        """Raise RateLimited where the key may send no event now: reading the body would be in vain."""
        self._rates.check(permit.grant.limits)

    def charge(self, permit: Permit, size: int, events: int = 0) -> None:
        """Charge a request with bytes and events.

        Raises Overloaded where the bytes don't fit beside those of others, RateLimited for the events.
        """
        size += events * EVENT_BYTES
        others = self.bytes - permit.bytes
        if others and self.bytes + size > self.max_bytes:
            raise Overloaded("Too many events are under way: send them again.")
        if permit.grant is NOBODY:
            unknown = self._unknown_bytes - permit.bytes
            if unknown and self._unknown_bytes + size > self.max_bytes * UNKNOWN_SHARE:
                raise Overloaded(_OVERLOADED)
            self._unknown_bytes += size
        permit.bytes += size
        self.bytes += size
        if events and permit.grant.limits:
            self._rates.take(permit.grant.limits, events)

    def close(self, permit: Permit) -> None:
        """End a request, and free all that it was charged with."""
        self.requests -= 1
        self.bytes -= permit.bytes
        if permit.grant is NOBODY:
            self._forget_unknown(permit)
        self._ended()

    def enter(self) -> None:
        """Note a request that aiohttp handles, with a permit or without."""
        self._without_permit += 1

    def leave(self) -> None:
        """Note that such a request has its answer."""
        self._without_permit -= 1
        self._ended()

    async def drain(self, seconds: float) -> None:
        """Wait until no request is under way, at most so long; call it when no connection can come."""
        self._draining = True
        self._ended()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._none_left.wait()

    async def measure_lag(self) -> None:
        """Measure how far the event loop lags, until cancelled."""
        while True:
            self._tick_due = time.monotonic() + TICK_SECONDS
            await asyncio.sleep(TICK_SECONDS)

    def _begin(self) -> None:
        is_busy = self.requests >= BUSY_REQUESTS or self.bytes > self.max_bytes / 4
        if self.requests >= self.max_requests or (is_busy and time.monotonic() > self._tick_due + LATE_SECONDS):
            raise Overloaded(_OVERLOADED)
        self.requests += 1

    def _forget_unknown(self, permit: Permit) -> None:
        self._unknown_requests -= 1
        self._unknown_bytes -= permit.bytes

    def _ended(self) -> None:
        if self._draining and not (self.requests or self._without_permit):
            self._none_left.set()
