"""The reads: events, rejected events and sessions, as applications ask for them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from aiohttp import web

from gateway.context import GATEWAY, GRANT
from gateway.problems import NotFound
from gateway.query import parameters, rows, statements
from gateway.query.cursor import Place, decode_cursor, encode_cursor
from gateway.query.parameters import DEFAULT_LIMIT, read_parameters
from gateway.query.statements import Listing
from schemas.ids import row_id

MAX_COUNTS = 1000
"""Most lines of a summary of errors; the most frequent ones are kept."""

_encode = msgspec.json.Encoder().encode


async def get_events(request: web.Request) -> web.Response:
    """Return stored events, by the time they occurred."""
    given = read_parameters(request, parameters.EVENTS)
    if "event_id" in given:
        given["row_id"] = row_id(request[GRANT].application, given["event_id"])
    return await _page(request, "events", statements.EVENTS, given, rows.stored_event, rows.place_of_event)


async def get_session_events(request: web.Request) -> web.Response:
    """Return the stored events of one session, in their order."""
    given = read_parameters(request, parameters.SESSION_EVENTS) | {"session_id": _segment(request, "session_id")}
    return await _page(request, "events", statements.EVENTS, given, rows.stored_event, rows.place_of_event)


async def get_errors(request: web.Request) -> web.Response:
    """Rejected events, by the time they were received."""
    given = read_parameters(request, parameters.ERRORS)
    return await _page(request, "errors", statements.REJECTED, given, rows.rejected_event, rows.place_of_rejected)


async def get_sessions(request: web.Request) -> web.Response:
    """Session summaries, by the time their first event occurred."""
    given = read_parameters(request, parameters.SESSIONS)
    return await _page(request, "sessions", statements.SESSIONS, given, rows.session, rows.place_of_session)


async def get_event(request: web.Request) -> web.Response:
    """One event, stored or rejected; an id that is no UUID is one of the caller's own application."""
    read_parameters(request, {})
    application, event_id = request[GRANT].application, _segment(request, "event_id")
    wanted = {"id": row_id(application, event_id), "application": application}
    database = request.app[GATEWAY].database
    for row in await database.rows(statements.EVENT_BY_ID, wanted):
        event = rows.stored_event(row)
        event.status = "stored"
        return _json(event)
    for row in await database.rows(statements.REJECTED_BY_ID, wanted):
        return _json(rows.rejected_event(row))
    raise NotFound(f"No event {event_id} is stored (yet).")


async def get_session(request: web.Request) -> web.Response:
    """Return the summary of one session."""
    read_parameters(request, {})
    session_id = _segment(request, "session_id")
    for row in await request.app[GATEWAY].database.rows(statements.SESSION_BY_ID, {"session_id": session_id}):
        return _json(rows.session(row))
    raise NotFound(f"No session {session_id} is stored (yet).")


async def get_error_summary(request: web.Request) -> web.Response:
    """How often each code was found, by event type."""
    given = read_parameters(request, parameters.SUMMARY)
    found = await request.app[GATEWAY].database.rows(statements.SUMMARY.sql(given), {**given, "limit": MAX_COUNTS})
    return _json({"counts": [rows.Count(**row) for row in found]})


async def _page(
    request: web.Request,
    member: str,
    listing: Listing,
    given: Mapping[str, Any],
    item_of: Callable[[rows.Row], Any],
    place_of: Callable[[rows.Row], Place],
) -> web.Response:
    limit = given.get("limit", DEFAULT_LIMIT)
    wanted = {**given, "limit": limit + 1}
    if "cursor" in given:
        place = decode_cursor(listing.name, given["cursor"])
        wanted |= {"moment": place.moment, "id": place.id, "application": place.application}
    query = listing.sql(given, resumed="cursor" in given)
    found = await request.app[GATEWAY].database.rows(query, wanted)
    following = encode_cursor(listing.name, place_of(found[limit - 1])) if len(found) > limit else None
    return _json({member: [item_of(row) for row in found[:limit]], "next": following})


def _segment(request: web.Request, name: str) -> str:
    """Return a part of the path. Raises NotFound for what no stored text can hold."""
    value = request.match_info[name]
    if "\0" in value:
        raise NotFound("U+0000 is in no stored text.")
    return value


def _json(value: Any) -> web.Response:
    return web.Response(body=_encode(value), content_type="application/json")
