"""Stored events: GET /events, GET /events/{event_id} and the events of a session."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Annotated, Literal

import msgspec

from gateway.openapi_parts import Json, call, path, ref
from gateway.query.cursor import Place
from gateway.query.database import Database
from gateway.query.listing import ONLY, READ_PROBLEMS, Listing, Row, to_struct
from gateway.query.parameters import Parameter, event_type_filters, time_filters
from schemas.ids import row_id


class StoredEvent(msgspec.Struct, omit_defaults=True):
    """An accepted event. `status` is there in answers that may also be a rejected event.

    `timestamp_sent` and `clock_offset_ms` are there where `occurred_at` was corrected by its session's clock.
    """

    event_id: str
    application: str
    session_id: str
    category: str
    name: str
    occurred_at: datetime
    received_at: datetime
    schema_version: int
    data: Annotated[msgspec.Raw, msgspec.Meta(extra_json_schema={"type": "object"})]
    user_id: str | None = None
    context: msgspec.Raw | None = None
    timestamp_sent: datetime | None = None
    clock_offset_ms: int | None = None
    status: Literal["stored"] | None = None


_SELECT = """
    select coalesce(event.client_event_id, event.event_id::text) as event_id, event.application, event.session_id,
        event.category, event.name, event.occurred_at, event.received_at, event.schema_version,
        event.data::text as data, event.user_id, event.context::text as context, event.timestamp_sent,
        event.clock_offset_ms, event.event_id::text as row_id"""
_SOURCE = "eye.events event"

# the caller's own application first: two may have used the same UUID
_BY_ID = f"""{_SELECT} from {_SOURCE}
    join eye.event_keys key using (occurred_at, event_id, application)
    where key.event_id = %(id)s and (%(session_id)s::text is null or event.session_id = %(session_id)s)
        and (%(only)s::text is null or event.application = %(only)s)
    order by event.application <> %(application)s, event.application limit 1"""

BY_ID_PARAMETERS = (Parameter("session_id", "The event of this session, where several have the id.", ""),)

_TYPE_AND_TIME = (*event_type_filters("event"), *time_filters("event.occurred_at"))


def _event(row: Row) -> StoredEvent:
    return to_struct(row, StoredEvent, "data", "context")


def _place(row: Row) -> Place:
    return Place(row["occurred_at"], row["row_id"], row["application"])


EVENTS = Listing(
    name="events",
    select=_SELECT,
    source=_SOURCE,
    columns=tuple(name for name in StoredEvent.__struct_fields__ if name != "status"),
    data="event.data",
    own="event.application = %(only)s",
    filters=(
        Parameter("session_id", "Events of this session.", "event.session_id = %(session_id)s"),
        Parameter("user_id", "Events of this user.", "event.user_id = %(user_id)s"),
        Parameter(
            "event_id",
            "Events with this id, as sent; one that is no UUID is one of the caller's own application.",
            """(event.occurred_at, event.event_id, event.application) in (
            select occurred_at, event_id, application from eye.event_keys key where key.event_id = %(row_id)s)""",
        ),
        *_TYPE_AND_TIME,
    ),
    order=("event.occurred_at", "event.event_id", "event.application"),
    after=("%(moment)s", "%(id)s::uuid", "%(application)s"),
    item=_event,
    place=_place,
)
"""A request with `event_id` needs the value `row_id` as well."""

SESSION_EVENTS = replace(EVENTS, filters=_TYPE_AND_TIME, always=("event.session_id = %(session_id)s",))
"""The events of the session that the path names."""


async def find_event(
    database: Database, application: str, event_id: str, session_id: str | None, only: str | None = None
) -> StoredEvent | None:
    """Return the stored event with an id, as sent, in a session if one is given; `only`: of this application alone.

    An id that is no UUID is one of the application's own.
    """
    wanted = {"id": row_id(application, event_id), "application": application, "session_id": session_id, ONLY: only}
    for row in await database.rows(_BY_ID, wanted):
        event = _event(row)
        event.status = "stored"
        return event
    return None


def paths() -> Json:
    """Return the calls as the OpenAPI document has them."""
    either = {"oneOf": [ref("StoredEvent"), ref("RejectedEvent")]}
    by_id = [path("event_id", "The event's id, as sent."), *(known.openapi() for known in BY_ID_PARAMETERS)]
    return {
        "/events": {"get": EVENTS.call("Stored events, by occurred_at, then event_id", "Events")},
        "/events/{event_id}": {
            "get": call("One event, stored or rejected", either, [*READ_PROBLEMS, 404], by_id),
        },
    }
