"""Cross-origin requests (CORS): browsers may call the gateway from the origins that applications.toml names."""

from __future__ import annotations

from aiohttp import hdrs, web
from aiohttp.typedefs import Middleware

from gateway.access.api_keys import KeyRing
from gateway.context import GRANT
from gateway.ingest.formats.registry import FORMATS
from gateway.problems import Forbidden, Handler, problem_response

MAX_AGE_SECONDS = 7200
"""Longest time that a browser may remember the answer to a preflight request."""

_METHODS = "GET, HEAD, POST"
_HEADERS = (
    "Authorization, Content-Encoding, Content-Type, Idempotency-Key, Prefer, SP-Anonymous, X-API-Key, X-Retry-Count,"
    " traceparent"
)
_EXPOSED = "Preference-Applied, Retry-After"
_WITH_CREDENTIALS = frozenset(
    path for format in FORMATS if format.credentials for call in format.calls for path in call.paths
)
"""Calls whose browser SDKs send credentials (cookies) unless they are told not to; nobody looks at them."""


def allow_origins(keys: KeyRing) -> Middleware:
    """Return the middleware that answers preflight requests, without a key, and marks the answers to allowed origins.

    An answer is marked where the origin is one of the key's application; without a known key, of any application.
    Credentials of the browser (cookies) are no keys; they are allowed where a sender can't do without.
    """

    @web.middleware
    async def allow(request: web.Request, handler: Handler) -> web.StreamResponse:
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is None:
            return await handler(request)
        keys.refresh()
        if request.method == hdrs.METH_OPTIONS and hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers:
            return _answer_preflight(request, origin, keys)
        response = await handler(request)
        grant = request.get(GRANT)
        if origin in (keys.origins if grant is None else grant.origins):
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
            response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = _EXPOSED
            response.headers.update(_credentials(request))
        response.headers.add(hdrs.VARY, hdrs.ORIGIN)
        return response

    return allow


def _credentials(request: web.Request) -> dict[str, str]:
    return {hdrs.ACCESS_CONTROL_ALLOW_CREDENTIALS: "true"} if request.path in _WITH_CREDENTIALS else {}


def _answer_preflight(request: web.Request, origin: str, keys: KeyRing) -> web.Response:
    if origin not in keys.origins:
        return problem_response(Forbidden("No application allows this origin: `origins` in applications.toml does."))
    return web.Response(
        status=204,
        headers={
            hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: origin,
            hdrs.ACCESS_CONTROL_ALLOW_METHODS: _METHODS,
            hdrs.ACCESS_CONTROL_ALLOW_HEADERS: _HEADERS,
            hdrs.ACCESS_CONTROL_MAX_AGE: str(MAX_AGE_SECONDS),
            hdrs.VARY: hdrs.ORIGIN,
            **_credentials(request),
        },
    )
