"""A page view for each page that Flask serves, and the session that a request belongs to."""

from __future__ import annotations

import uuid

from flask import Flask, Request, Response, request

from eye_client import Eye

COOKIE = "eye_session"
COOKIE_SECONDS = 30 * 60
FIELD = "eye_session"
"""Form field by which a page with the browser's client names its session: what `session()` returns there."""


def send_page_views(app: Flask, eye: Eye) -> None:
    """Have the application send a page view for each GET that it answers with a page."""

    @app.after_request
    def send(response: Response) -> Response:
        session_id = session_of(request)
        if request.method == "GET" and response.status_code < 400:
            eye.send("page interaction", "pageview", session_id, {"host": request.host, "path": request.path})
        response.set_cookie(COOKIE, session_id, max_age=COOKIE_SECONDS, httponly=True, samesite="Lax")
        return response


def session_of(request: Request) -> str:
    """Return a request's session: the one that its page named, else the cookie's, else a new one."""
    return request.form.get(FIELD) or request.cookies.get(COOKIE) or str(uuid.uuid4())
