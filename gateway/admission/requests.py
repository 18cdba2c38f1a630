"""The requests under way: counted, timed, and awaited when the gateway stops."""

from __future__ import annotations

import asyncio
import contextlib
import time

from aiohttp import StreamReader, web
from aiohttp.typedefs import Middleware

from gateway.connections.client_connections import Clients
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
            self.begin(request.protocol, request.content)
            try:
                response = await handler(request)
            finally:
                self.end(request.protocol)
            response.headers["Server"] = SERVER
            if self.stopping:
                response.force_close()
            resource = request.match_info.route.resource
            route = resource.canonical if resource is not None else "none"
            self.count(request.method, route, response.status, time.perf_counter() - started)
            return response

        return watch

    def begin(self, connection: web.RequestHandler, body: StreamReader) -> None:
        """Note that a request is under way."""
        self._under_way += 1
        self._clients.busy(connection, body)

    def end(self, connection: web.RequestHandler) -> None:
        """Note that a request has its answer."""
        self._clients.wait(connection)
        self._under_way -= 1
        if self.stopping and not self._under_way:
            self._none_under_way.set()

    def count(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answer."""
        self._metrics.requests_of(method, route, status).inc()
        self._metrics.seconds_of(route).observe(seconds)
