"""The requests under way: counted, timed, and awaited when the gateway stops."""

from __future__ import annotations

import asyncio
import contextlib
import time

from aiohttp import web
from aiohttp.typedefs import Middleware

from gateway.clients import Clients
from gateway.metrics import Metrics
from gateway.problems import SERVER, Handler


class Traffic:
    """What runs through one gateway. `stopping`: connections are closed with their next answer."""

    def __init__(self, metrics: Metrics, clients: Clients) -> None:
        self._metrics = metrics
        self._clients = clients
        self._under_way = 0
        self._none_under_way = asyncio.Event()
        self.stopping = False

    async def drain(self, seconds: float) -> None:
        """Wait until no request is under way, at most so long; to be called when no new connection can come."""
        self.stopping = True
        if self._under_way:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._none_under_way.wait()

    def middleware(self) -> Middleware:
        """Return the middleware that every request goes through, outside of all others."""

        @web.middleware
        async def watch(request: web.Request, handler: Handler) -> web.StreamResponse:
            started = time.perf_counter()
            self._under_way += 1
            self._clients.busy(request)
            try:
                response = await handler(request)
            finally:
                self._clients.wait(request)
                self._under_way -= 1
                if self.stopping and not self._under_way:
                    self._none_under_way.set()
            response.headers["Server"] = SERVER
            if self.stopping:
                response.force_close()
            self._count(request, response.status, time.perf_counter() - started)
            return response

        return watch

    def _count(self, request: web.Request, status: int, seconds: float) -> None:
        resource = request.match_info.route.resource
        route = resource.canonical if resource is not None else "none"
        self._metrics.requests.labels(request.method, route, status).inc()
        self._metrics.request_seconds.labels(route).observe(seconds)
