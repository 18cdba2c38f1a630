"""A WSGI application under gunicorn: the client is made before the workers are forked."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

from eye_client import Eye

eye = Eye(os.environ["EYE_URL"], os.environ["EYE_KEY"], linger=5.0, disk=os.environ.get("EYE_QUEUE") or None)
first = eye.send("page interaction", "pageview", "gunicorn", {"host": "www.example.com", "path": "/before"})


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Send a page view, and answer with its id and that of the event sent before the fork."""
    data = {"host": "www.example.com", "path": environ["PATH_INFO"]}
    event_id = eye.send("page interaction", "pageview", "gunicorn", data)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{os.getpid()} {first} {event_id}".encode()]
