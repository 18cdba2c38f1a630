"""Login with a key, and logout: a plain page without scripts."""

from __future__ import annotations

import html
from urllib.parse import parse_qs, urlsplit

from fastapi import FastAPI, Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from eye.console.gateway_reads import GatewayReads, ReadError
from eye.console.guard import read_cookie
from eye.console.visitors import COOKIE, READING, Visitors

_MOST_BYTES = 8_192

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>The Eye: log in</title>
<style>
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 24rem; margin: 15vh auto 0; padding: 0 1rem }}
input, button {{ font: inherit; width: 100%; padding: .6rem; margin: .4rem 0; box-sizing: border-box }}
[role=alert] {{ color: #c10015; min-height: 1.5em }}
@media (prefers-color-scheme: dark) {{ [role=alert] {{ color: #ff8a80 }} }}
</style></head><body><main><h1>The Eye</h1>
<form method="post" action="/login"><label for="key">Key with the scope read</label>
<input id="key" name="key" type="password" autocomplete="current-password" required autofocus>
<input type="hidden" name="next" value="{place}"><button>Log in</button></form>
<p role="alert">{fault}</p><p>A key with the scope admin may change data, too: <code>eye keys add APPLICATION
--scopes read,admin</code></p></main></body></html>"""


def add_login(app: FastAPI, visitors: Visitors, gateway: GatewayReads) -> None:
    """Add the routes for logging in and out, and for health."""

    @app.get("/login", include_in_schema=False)
    async def show(next: str = "/") -> Response:
        return _page("", next)

    @app.post("/login", include_in_schema=False)
    async def log_in(request: Request) -> Response:
        given = await _form(request)
        key, place = given.get("key", "").strip(), given.get("next", "/")
        try:
            application, scopes = await gateway.scopes(key)
        except ReadError as error:
            status = 401 if error.status == 401 else 503
            return _page("This key is not known." if status == 401 else str(error), place, status)
        if not scopes & READING:
            return _page(f"This key of {application} lacks the scope read.", place, 403)
        visitors.remove(read_cookie(request.headers))
        answer = RedirectResponse(_own_place(place), 303)
        secure = request.url.scheme == "https"
        answer.set_cookie(
            COOKIE, visitors.add(key, application, scopes), httponly=True, samesite="strict", secure=secure
        )
        return answer

    @app.post("/logout", include_in_schema=False)
    async def log_out(request: Request) -> Response:
        visitors.remove(read_cookie(request.headers))
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return answer

    @app.get("/healthz", include_in_schema=False)
    @app.get("/readyz", include_in_schema=False)
    async def health() -> Response:
        return PlainTextResponse("ok")


def _page(fault: str, place: str, status: int = 200) -> Response:
    return HTMLResponse(_PAGE.format(fault=html.escape(fault), place=html.escape(_own_place(place))), status)


def _own_place(place: str) -> str:
    """Return where to go after the login: a page of the console, whatever was asked for."""
    parts = urlsplit(place)
    own = place.startswith("/") and not place.startswith("//") and not parts.netloc and place.isprintable()
    return place if own and "\\" not in place and parts.path not in ("/login", "/logout") else "/"


async def _form(request: Request) -> dict[str, str]:
    """Read a short form."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MOST_BYTES:
            return {}
    fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=20)
    return {name: values[0] for name, values in fields.items()}
