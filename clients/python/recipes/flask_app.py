"""A page view for each page that Flask serves."""

from __future__ import annotations

import uuid

from flask import Flask, Response, request

from eye_client import Eye

COOKIE = "eye_session"
COOKIE_SECONDS = 30 * 60


def send_page_views(app: Flask, eye: Eye) -> None:
    """Have the application send a page view for each GET that it answers with a page."""

    @app.after_request
    def send(response: Response) -> Response:
        session_id = request.cookies.get(COOKIE) or str(uuid.uuid4())
        if request.method == "GET" and response.status_code < 400:
            eye.send("page interaction", "pageview", session_id, {"host": request.host, "path": request.path})
        response.set_cookie(COOKIE, session_id, max_age=COOKIE_SECONDS, httponly=True, samesite="Lax")
        return response
