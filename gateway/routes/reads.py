"""The reads: events, rejected events and sessions, as applications ask for them."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from gateway.context import GATEWAY, GRANT
from gateway.problems import NotFound
from gateway.query.database import Database
from gateway.query.errors import COUNT_FILTERS, ERRORS, count_errors, find_rejected_event
from gateway.query.events import BY_ID_PARAMETERS, EVENTS, SESSION_EVENTS, find_event
from gateway.query.listing import ONLY, Listing
from gateway.query.parameters import read_parameters
from gateway.query.sessions import SESSIONS, find_session
from gateway.routes.guard import only_application
from gateway.routes.listings import answer_listing
from schemas.ids import row_id

_encode = msgspec.json.Encoder().encode


async def get_events(request: web.Request) -> web.StreamResponse:
    """Return stored events, by the time they occurred."""
    given = read_parameters(request, EVENTS.parameters)
    if "event_id" in given:
        given["row_id"] = row_id(request[GRANT].application, given["event_id"])
    return await _listing(request, EVENTS, given)


async def get_event(request: web.Request) -> web.Response:
    """Return one event, stored or rejected; an id that is no UUID is one of the caller's own application."""
    session_id = read_parameters(request, BY_ID_PARAMETERS).get("session_id")
    database, application, event_id = _database(request), request[GRANT].application, _segment(request, "event_id")
    only = only_application(request)
    event = await find_event(database, application, event_id, session_id, only)
    found = event or await find_rejected_event(database, application, event_id, session_id, only)
    if found is None:
        raise NotFound(f"No event {event_id} is stored (yet).")
    return _json(found)


async def get_sessions(request: web.Request) -> web.StreamResponse:
    """Return session summaries, by the time their first event occurred."""
    given = read_parameters(request, SESSIONS.parameters)
    return await _listing(request, SESSIONS, given)


async def get_session(request: web.Request) -> web.Response:
    """Return the summary of one session."""
    read_parameters(request, ())
    session_id = _segment(request, "session_id")
    session = await find_session(_database(request), session_id)
    if session is None or only_application(request) not in (None, *session.applications):
        raise NotFound(f"No session {session_id} is stored (yet).")
    return _json(session)


async def get_session_events(request: web.Request) -> web.StreamResponse:
    """Return the stored events of one session, in their order."""
    given = read_parameters(request, SESSION_EVENTS.parameters) | {"session_id": _segment(request, "session_id")}
    return await _listing(request, SESSION_EVENTS, given)


async def get_errors(request: web.Request) -> web.StreamResponse:
    """Return rejected events, by the time they were received."""
    given = read_parameters(request, ERRORS.parameters)
    return await _listing(request, ERRORS, given)


async def get_error_summary(request: web.Request) -> web.Response:
    """Return the number of rejected events of each code and event type."""
    given = read_parameters(request, COUNT_FILTERS)
    return _json({"counts": await count_errors(_database(request), given | {ONLY: only_application(request)})})


def _database(request: web.Request) -> Database:
    return request.app[GATEWAY].database


async def _listing(request: web.Request, listing: Listing, given: dict[str, Any]) -> web.StreamResponse:
    """Answer with the items that the key may read."""
    return await answer_listing(request, listing, given | {ONLY: only_application(request)})


def _segment(request: web.Request, name: str) -> str:
    """Return a part of the path. Raises NotFound for what no stored text can hold."""
    value = request.match_info[name]
    if "\0" in value:
        raise NotFound("U+0000 is in no stored text.")
    return value


def _json(value: Any) -> web.Response:
    return web.Response(body=_encode(value), content_type="application/json")
