"""The guard of every route: a permit for each request that needs a key, and the count of all requests."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping

from aiohttp import HttpVersion11, hdrs, web
from aiohttp.typedefs import Middleware
from multidict import CIMultiDict

from gateway.access.api_keys import Scope
from gateway.access.authorization import Access, authorize, presented_key
from gateway.admission.admission import Admission, Permit
from gateway.connections.client_connections import Clients
from gateway.context import GATEWAY, GRANT, PERMIT
from gateway.metrics import Metrics
from gateway.problems import (
    SERVER,
    ExpectationFailed,
    Forbidden,
    Handler,
    IssuerUnavailable,
    RateLimited,
    Unauthorized,
    problem_response,
)
from schemas.event import unstorable_character

MAX_KEY = 1024
"""Longest key that a body may have, in characters."""

ISSUER_SECONDS = 1.0
"""Time for which a request waits until the keys of its token's issuer are read."""


def guarded(handler: Handler, access: Access, *, key_may_follow: bool = False, lasts: bool = False) -> Handler:
    """Return the handler behind its guard; it finds `request[PERMIT]` and `request[GRANT]`.

    `key_may_follow`: a request without a key in its head is let through without a grant; the handler has to
    `identify` it by what it finds in the body. `lasts`: the answer may go on for hours; its request
    is none of those that are under way.
    """
    scopes = access.value or frozenset()

    async def guard(request: web.Request) -> web.StreamResponse:
        gateway = request.app[GATEWAY]
        headers = _with_key(request, scopes)
        if key_may_follow and presented_key(headers) is None:
            permit = request[PERMIT] = gateway.admission.admit_unknown()
        else:
            permit = request[PERMIT] = await _admit(gateway.admission, headers, scopes)
            request[GRANT] = permit.grant
        if lasts:
            gateway.admission.close(permit)
            return await handler(request)
        try:
            return await handler(request)
        except RateLimited:
            gateway.metrics.rate_limited.labels(permit.grant.application).inc()
            raise
        finally:
            gateway.admission.close(permit)

    return _noting_refusals(guard)


def _noting_refusals(handler: Handler) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except (Unauthorized, Forbidden) as problem:
            gateway = request.app[GATEWAY]
            gateway.refusals.note(problem.code, gateway.proxies.client_address(request))
            raise

    return handle


async def _admit(admission: Admission, headers: Mapping[str, str], scopes: frozenset[Scope]) -> Permit:
    """Admit a request; one with a token of a new key waits a moment for the keys of its issuer."""
    try:
        return admission.admit(headers, scopes)
    except IssuerUnavailable as problem:
        if problem.fetched is None:
            raise
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ISSUER_SECONDS):
                await problem.fetched.wait()
        return admission.admit(headers, scopes)


def identify(request: web.Request, key: str | None, access: Access) -> None:
    """Give a request the grant of the key that came in its body. Raises Unauthorized or Forbidden.

    What is longer than any header may be is no key.
    """
    permit, scopes = request[PERMIT], access.value or frozenset()
    presented = key if key is not None and len(key) <= MAX_KEY and unstorable_character(key) is None else ""
    request.app[GATEWAY].admission.identify(permit, _presenting(request, presented), scopes)
    request[GRANT] = permit.grant


def authorize_by(request: web.Request, key: str, access: Access) -> None:
    """Give an open call the grant of the key in its path. Raises Unauthorized or Forbidden."""
    request[GRANT] = authorize(request.app[GATEWAY].keys, _presenting(request, key), access.value or frozenset())


def _with_key(request: web.Request, scopes: frozenset[Scope]) -> Mapping[str, str]:
    """Return the headers of a request; one that sends events may have its key in the query, as a beacon must."""
    key = request.query.get("key")
    if not key or Scope.WRITE not in scopes or hdrs.AUTHORIZATION in request.headers:
        return request.headers
    return _presenting(request, key)


def _presenting(request: web.Request, key: str) -> CIMultiDict[str]:
    """Return the headers of a request as if they had this key."""
    headers = CIMultiDict(request.headers)
    headers["X-API-Key"] = key
    return headers


async def check_expectation(request: web.Request) -> web.Response | None:
    """Refuse an Expect other than 100-continue; that one is granted when the body is read, and not before.

    So a request whose head alone says 401, 413 or 415 is answered without its body.
    """
    if request.version < HttpVersion11 or request.headers.get(hdrs.EXPECT, "").lower() == "100-continue":
        return None
    problem = ExpectationFailed("The header Expect can only be 100-continue.")
    request.app[GATEWAY].metrics.problems.labels(problem.code).inc()
    return problem_response(problem)


def track_requests(admission: Admission, clients: Clients, metrics: Metrics) -> Middleware:
    """Return the middleware outside of all others: each request is counted, timed, and awaited at the stop."""

    @web.middleware
    async def track(request: web.Request, handler: Handler) -> web.StreamResponse:
        started = time.perf_counter()
        admission.enter()
        clients.request_began(request.protocol, request.content)
        try:
            response = await handler(request)
        finally:
            clients.request_ended(request.protocol)
            admission.leave()
        response.headers["Server"] = SERVER
        if clients.closing:
            response.force_close()
        resource = request.match_info.route.resource
        route = resource.canonical if resource is not None else "none"
        metrics.requests_of(request.method, route, response.status).inc()
        metrics.seconds_of(route).observe(time.perf_counter() - started)
        return response

    return track


def only_application(request: web.Request) -> str | None:
    """Return the application whose events alone a guarded request may read; None: those of all."""
    grant = request[GRANT]
    if request.app[GATEWAY].settings.read_scope == "all" or Scope.READ_ALL in grant.scopes:
        return None
    return grant.application
