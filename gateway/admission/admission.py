"""Room: how many requests, and how many bytes of them, the gateway holds at once."""

from __future__ import annotations

import asyncio
import time

from aiohttp import web

from gateway.metrics import Metrics
from gateway.problems import Handler, Overloaded

EVENT_BYTES = 2 * 1024
"""What an event takes apart from its own bytes while it waits for its acknowledgement, roughly."""


BEAT_SECONDS = 0.1
LATE_SECONDS = 0.5
"""When the event loop lags by this much, those who have a seat would not be answered in time if more came."""

BUSY_REQUESTS = 50
"""With fewer requests than this, and a quarter of the bytes, a lag is not of our making."""


class Seat:
    """What one request holds of the room."""

    __slots__ = ("_room", "held")

    def __init__(self, room: Room) -> None:
        self._room = room
        self.held = 0

    def take(self, size: int) -> None:
        """Hold so many bytes more. Raises Overloaded where they don't fit beside what others hold."""
        room = self._room
        others = room.bytes - self.held
        if others and room.bytes + size > room.max_bytes:
            raise Overloaded("Too many events are under way: send them again.")
        self.held += size
        room.bytes += size


class Room:
    """The requests with a seat, and the bytes they hold; both bounded.

    A request that is alone gets as much as it may have. One that has a seat is never sent away for others
    that come later, unless its own body grows beyond what is left.
    """

    def __init__(self, max_requests: int, max_bytes: int, metrics: Metrics) -> None:
        self.max_requests = max_requests
        self.max_bytes = max_bytes
        self.requests = 0
        self.bytes = 0
        self._beat_due = float("inf")
        metrics.requests_under_way.set_function(lambda: self.requests)
        metrics.bytes_under_way.set_function(lambda: self.bytes)

    def lend(self) -> Seat:
        """Lend a seat until it is taken back. Raises Overloaded where there is none, or the event loop lags."""
        if self.requests >= self.max_requests or (self._is_busy() and time.monotonic() > self._beat_due + LATE_SECONDS):
            raise Overloaded("Too many requests are under way: send it again.")
        self.requests += 1
        return Seat(self)

    def take_back(self, seat: Seat) -> None:
        """Take a seat back, and all that it holds."""
        self.requests -= 1
        self.bytes -= seat.held

    async def beat(self) -> None:
        """Feel how far the event loop lags, until cancelled."""
        while True:
            self._beat_due = time.monotonic() + BEAT_SECONDS
            await asyncio.sleep(BEAT_SECONDS)

    def seated(self, handler: Handler) -> Handler:
        """Return the handler with a seat for each request, as `request[SEAT]`."""

        async def take_seat(request: web.Request) -> web.StreamResponse:
            seat = request[SEAT] = self.lend()
            try:
                return await handler(request)
            finally:
                self.take_back(seat)

        return take_seat

    def _is_busy(self) -> bool:
        return self.requests >= BUSY_REQUESTS or self.bytes > self.max_bytes / 4


SEAT = web.RequestKey("seat", Seat)
