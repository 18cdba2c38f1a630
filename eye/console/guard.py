"""The guard in front of every page and call of the console: a cookie, one's own origin, headers of protection."""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from eye.console.visitors import COOKIE, Visitors

OPEN = frozenset({"/login", "/healthz", "/readyz"})
"""Paths that need no cookie."""

# inline scripts and eval are NiceGUI's: its page starts by them, and Vue compiles its templates; none is ours
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline';"
    " img-src 'self' data:; font-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self';"
    " frame-ancestors 'none'"
)
_LOGIN_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


class Guard:
    """Lets requests through that have a visitor's cookie and come from a page of the console, WebSockets too."""

    def __init__(self, app: ASGIApp, visitors: Visitors) -> None:
        self._app, self._visitors = app, visitors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers, path = Headers(scope=scope), scope["path"]
        visitor = self._visitors.find(read_cookie(headers))
        if not _own_origin(scope, headers):
            answer: Response | None = Response("This request comes from a page elsewhere.", 403)
        elif visitor is None and path not in OPEN:
            answer = _to_login(scope, path)
        else:
            answer = None
        if scope["type"] == "websocket" and answer is not None:
            await send({"type": "websocket.close", "code": 1008})
            return
        scope.setdefault("state", {})["visitor"] = visitor
        await (answer or self._app)(scope, receive, _protecting(send, path))


def read_cookie(headers: Headers) -> str | None:
    """Return the console's cookie."""
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return None
    return None if cookie is None else cookie.value


def _own_origin(scope: Scope, headers: Headers) -> bool:
    """Tell whether a request that may change something comes from here; a browser always says where from."""
    if scope["type"] == "http" and scope["method"] in ("GET", "HEAD") and not scope["path"].startswith("/_nicegui_ws"):
        return True
    origin = headers.get("origin")
    if origin is None:
        return headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")
    return urlsplit(origin).netloc == headers.get("host")


def _to_login(scope: Scope, path: str) -> Response:
    if scope["type"] == "http" and scope["method"] == "GET" and not path.startswith("/_nicegui"):
        query = scope["query_string"].decode("latin-1")
        return RedirectResponse(f"/login?next={quote(path + (f'?{query}' if query else ''), safe='')}", 303)
    return Response("Log in first.", 401)


def _protecting(send: Send, path: str) -> Send:
    policy = _LOGIN_POLICY if path == "/login" else _POLICY

    async def protected(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["Content-Security-Policy"] = policy
            headers["X-Content-Type-Options"] = "nosniff"
            headers["X-Frame-Options"] = "DENY"
            headers["Referrer-Policy"] = "same-origin"
            if not path.startswith("/_nicegui/"):
                headers["Cache-Control"] = "no-store"
        await send(message)

    return protected
