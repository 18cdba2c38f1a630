"""The fast path: the shortest way of the most common request, a POST of events that are all accepted.

A request takes it when it came whole in one read, has a known key, is JSON for the fast reader, and when each of its
events can be stored. aiohttp's parser has read it; the tasks, request, router and response of aiohttp are left out.
Any other request is handled by aiohttp unchanged; errors are reported there.
"""

from __future__ import annotations

import time
from typing import NamedTuple

from aiohttp import hdrs
from aiohttp.http_parser import RawRequestMessage

from gateway.access.api_keys import Scope
from gateway.admission.admission import Permit
from gateway.connections.raw_responses import problem_bytes, response_bytes
from gateway.context import Gateway
from gateway.ingest.body import LARGE_BYTES, is_json
from gateway.ingest.event_reader import ParsedBody
from gateway.problems import Problem, to_problem
from gateway.routes.events import store_events
from schemas.record import TRACEPARENT

_JSON = {"Content-Type": "application/json"}
_WRITE = frozenset({Scope.WRITE})


class Accepted(NamedTuple):
    """A request whose events can all be stored; `began` on the performance counter."""

    path: str
    permit: Permit
    parsed: ParsedBody
    traceparent: str
    began: float


class FastPath:
    """Accepts requests from the parser of a connection, and makes their responses; the connection writes them."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._admission = gateway.admission
        self._clients = gateway.clients
        self._reader = gateway.bodies.reader
        self._max_bytes = min(LARGE_BYTES, gateway.settings.max_request_bytes)

    def accept(self, message: RawRequestMessage, body: bytes) -> Accepted | None:
        """Accept a request, admitted and charged; None for one that aiohttp has to handle, with nothing left of it."""
        began, headers = time.perf_counter(), message.headers
        if len(body) > self._max_bytes or not is_json(headers.get(hdrs.CONTENT_TYPE, "")) or self._clients.closing:
            return None
        try:
            permit = self._admission.admit(headers, _WRITE)
        except Problem:
            return None
        try:
            if permit.grant.limits:
                self._admission.check_rate(permit)
            parsed = self._reader.read_fast(body)
            if parsed is not None:
                self._admission.charge(permit, len(body), len(parsed.items))
        except Exception:  # any error is met again by aiohttp's handler, and reported there
            parsed = None
        if parsed is None:
            self._admission.close(permit)
            return None
        return Accepted(message.path, permit, parsed, headers.get(TRACEPARENT, ""), began)

    async def respond(self, accepted: Accepted) -> bytes:
        """Make the events durable, and return the response: 202, or the problem that came up. Never raises."""
        gateway, path = self._gateway, accepted.path
        problem = None
        try:
            body = await store_events(gateway, accepted.permit.grant, accepted.parsed, accepted.traceparent)
        except Exception as error:
            problem = to_problem(error, gateway.metrics, f"POST {path}")
        finally:
            self._admission.close(accepted.permit)
        close = self._clients.closing
        if problem is None:
            status, response = 202, response_bytes(202, _JSON, body, close=close)
        else:
            status, response = problem.status, problem_bytes(problem, close=close)
        gateway.metrics.requests_of("POST", path, status).inc()
        gateway.metrics.seconds_of(path).observe(time.perf_counter() - accepted.began)
        return response
