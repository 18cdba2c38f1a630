"""The browser client, which pages load: one module, built from clients/browser."""

from __future__ import annotations

import hashlib
import re
from importlib.resources import files

from aiohttp import ETag, web

from gateway.problems import Handler

_VERSION = re.compile(r"^/\* The Eye, browser client (\S+) \*/")
_HEADERS = {
    "Access-Control-Allow-Origin": "*",  # a module is fetched with CORS; there is nothing secret in it
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Vary": "Accept-Encoding",
    "X-Content-Type-Options": "nosniff",
}
_FOR_A_WHILE = "public, max-age=300"
_FOR_EVER = "public, max-age=31536000, immutable"


def browser_client() -> Handler:
    """Return the handler of `/eye.js`.

    Its answer may be kept for five minutes, and asked for again by ETag. `?v=` with the version that is served may be
    kept for ever; with another version it is the version that is served all the same, so that no page goes without.
    """
    body = (files("gateway") / "static" / "eye.js").read_bytes()
    version = _version(body)
    etag = ETag(hashlib.sha256(body).hexdigest()[:32], is_weak=True)  # the same, compressed or not

    async def get_browser_client(request: web.Request) -> web.Response:
        is_fixed = request.query.get("v") == version
        known = request.if_none_match or ()
        if any(tag.value in (etag.value, "*") for tag in known):
            response = web.Response(status=304, headers=_HEADERS)
        else:
            response = web.Response(body=body, content_type="text/javascript", charset="utf-8", headers=_HEADERS)
            response.enable_compression()
        response.etag = etag
        response.headers["Cache-Control"] = _FOR_EVER if is_fixed else _FOR_A_WHILE
        return response

    return get_browser_client


def _version(body: bytes) -> str:
    found = _VERSION.match(body.decode())
    if found is None:
        raise ValueError("gateway/static/eye.js does not say its version: build it with `make client`.")
    return found[1]
