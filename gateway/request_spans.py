"""Spans around requests with events; without tracing there are none."""

from __future__ import annotations

from aiohttp import web

from gateway.problems import Handler
from schemas.record import TRACEPARENT
from schemas.spans import Spans

TRACED_AS = web.RequestKey("traceparent", str)
"""The traceparent of the request's own span, which its events carry."""


def traced(handler: Handler, route: str, spans: Spans | None) -> Handler:
    """Return the same handler, each request enclosed in a span; without spans it is the handler itself."""
    if spans is None:
        return handler

    async def handle(request: web.Request) -> web.StreamResponse:
        with spans.request(route, request.headers.get(TRACEPARENT)) as traceparent:
            if traceparent is not None:
                request[TRACED_AS] = traceparent
            return await handler(request)

    return handle
