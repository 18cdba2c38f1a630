"""Sessions: GET /sessions, GET /sessions/{session_id}."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec

from gateway.openapi_parts import Json, call, path
from gateway.query.cursor import Place
from gateway.query.database import Database
from gateway.query.events import SESSION_EVENTS
from gateway.query.listing import READ_PROBLEMS, Listing, Row, to_struct
from gateway.query.parameters import Parameter, time_filters
from schemas.session import SessionStatus

_COUNTS = {"type": "object", "additionalProperties": {"type": "integer"}}


class Session(msgspec.Struct):
    """The newest summary of a session.

    `clock_offset_ms` is added to the timestamps of its events; absent where they are taken as sent.
    """

    session_id: str
    applications: list[str]
    revision: int
    status: str
    started_at: datetime | None
    ended_at: datetime | None
    event_count: int
    rejected_count: int
    counts_by_type: Annotated[msgspec.Raw, msgspec.Meta(extra_json_schema=_COUNTS)]
    first_event_id: str | None
    last_event_id: str | None
    updated_at: datetime
    clock_offset_ms: int | msgspec.UnsetType = msgspec.UNSET


_SELECT = """
    select session_id, applications, revision, status, started_at, ended_at, event_count, rejected_count,
        counts_by_type::text as counts_by_type, first_event_id, last_event_id, updated_at, clock_offset_ms"""
_SOURCE = "eye.sessions"

_BY_ID = f"{_SELECT} from {_SOURCE} where session_id = %(session_id)s"

_STATUSES = [status.value for status in SessionStatus]


def _status(value: str) -> str:
    if value not in _STATUSES:
        raise ValueError(f"one of {', '.join(_STATUSES)}")
    return value


def _session(row: Row) -> Session:
    session = to_struct(row, Session, "counts_by_type")
    if row["clock_offset_ms"] is None:
        session.clock_offset_ms = msgspec.UNSET
    return session


def _place(row: Row) -> Place:
    return Place(row["started_at"], row["session_id"])


SESSIONS = Listing(
    name="sessions",
    select=_SELECT,
    source=_SOURCE,
    columns=Session.__struct_fields__,
    filters=(
        Parameter("status", "Only these.", "status = %(status)s", _status, {"enum": _STATUSES}),
        *time_filters("started_at"),
    ),
    # a session without an accepted event has no time
    always=("started_at is not null",),
    own="%(only)s = any(applications)",
    order=("started_at", "session_id"),
    after=("%(moment)s", "%(id)s"),
    item=_session,
    place=_place,
)


async def find_session(database: Database, session_id: str) -> Session | None:
    """Return the summary of a session."""
    for row in await database.rows(_BY_ID, {"session_id": session_id}):
        return _session(row)
    return None


def paths() -> Json:
    """Return the calls as the OpenAPI document has them."""
    session_id = path("session_id", "A session.")
    one = call("A session's summary", "Session", [*READ_PROBLEMS, 404], [session_id])
    return {
        "/sessions": {"get": SESSIONS.call("Sessions, by started_at", "Sessions")},
        "/sessions/{session_id}": {"get": one},
        "/sessions/{session_id}/events": {
            "get": SESSION_EVENTS.call("A session's events in order", "Events", session_id),
        },
    }
