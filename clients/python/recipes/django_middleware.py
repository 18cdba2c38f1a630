"""A page view for each page that Django serves.

In the settings: `MIDDLEWARE = [..., "django_middleware.page_views"]`, `EYE_URL` and `EYE_KEY`.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import cache

from django.conf import settings
from django.http import HttpRequest, HttpResponse

from eye_client import Eye

COOKIE = "eye_session"
COOKIE_SECONDS = 30 * 60

GetResponse = Callable[[HttpRequest], HttpResponse]


@cache
def client() -> Eye:
    """Return the client of this process, which views use as well."""
    return Eye(settings.EYE_URL, settings.EYE_KEY)


def page_views(get_response: GetResponse) -> GetResponse:
    """Send a page view for each GET that is answered with a page."""

    def answer(request: HttpRequest) -> HttpResponse:
        session_id = request.COOKIES.get(COOKIE) or str(uuid.uuid4())
        response = get_response(request)
        if request.method == "GET" and response.status_code < 400:
            client().send(
                "page interaction", "pageview", session_id, {"host": request.get_host(), "path": request.path}
            )
        response.set_cookie(COOKIE, session_id, max_age=COOKIE_SECONDS, httponly=True, samesite="Lax")
        return response

    return answer
