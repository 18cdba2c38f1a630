"""A page view for each page of an ASGI application: Starlette, FastAPI, and others.

`app.add_middleware(PageViews, eye=eye)`, where `eye` is an `AsyncEye` that the application's lifespan closes.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any

from eye_client import AsyncEye

COOKIE = "eye_session"
COOKIE_SECONDS = 30 * 60

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]


class PageViews:
    """Sends a page view for each GET that the application answers with a page."""

    def __init__(self, app: App, eye: AsyncEye) -> None:
        self._app = app
        self._eye = eye

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Pass a request on, and look at how its answer begins."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        session_id = _session_of(headers.get("cookie", "")) or str(uuid.uuid4())

        async def send_on(message: Message) -> None:
            if message["type"] == "http.response.start":
                if scope["method"] == "GET" and message["status"] < 400:
                    data = {"host": headers.get("host", ""), "path": scope["path"]}
                    self._eye.send("page interaction", "pageview", session_id, data)
                cookie = f"{COOKIE}={session_id}; Max-Age={COOKIE_SECONDS}; Path=/; HttpOnly; SameSite=Lax"
                message["headers"] = [*message.get("headers", ()), (b"set-cookie", cookie.encode("latin-1"))]
            await send(message)

        await self._app(scope, receive, send_on)


def _session_of(header: str) -> str | None:
    try:
        found = SimpleCookie(header).get(COOKIE)
    except CookieError:
        return None
    return found.value if found else None
