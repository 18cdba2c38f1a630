"""Rejected events: GET /errors, GET /errors/summary, and a rejected event by its id."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

from gateway.openapi_parts import Json, call, ref
from gateway.query.cursor import Place
from gateway.query.database import Database
from gateway.query.listing import ONLY, READ_PROBLEMS, Listing, Row, to_struct
from gateway.query.parameters import Parameter, event_type_filters, time_filters, where
from schemas.ids import row_id
from schemas.verdict import Code

MAX_COUNTS = 1000
"""Most lines of a summary of errors; the most frequent ones are kept."""

_VIOLATIONS = {"type": "array", "items": ref("Violation")}


class RejectedEvent(msgspec.Struct):
    """A rejected event, with every reason and the value as it came."""

    event_id: str
    application: str
    session_id: str | None
    category: str | None
    name: str | None
    timestamp: str | None
    received_at: datetime
    errors: Annotated[msgspec.Raw, msgspec.Meta(extra_json_schema=_VIOLATIONS)]
    raw: str
    raw_encoding: str
    raw_truncated: bool
    status: Literal["rejected"] = "rejected"


class Count(msgspec.Struct):
    """The number of rejected events with a code, by their event type as far as it could be read."""

    code: str
    category: str | None
    name: str | None
    count: int


_SELECT = """
    select coalesce(event.client_event_id, event.event_id::text) as event_id, event.application, event.session_id,
        event.category, event.name, event.timestamp, event.received_at, event.errors::text as errors,
        event.raw, event.raw_encoding, event.raw_truncated, event.event_id::text as row_id"""
_SOURCE = "eye.rejected_events event"

# the caller's own application first: two may have used the same UUID
_BY_ID = f"""{_SELECT} from {_SOURCE}
    where event.event_id = %(id)s and (%(session_id)s::text is null or event.session_id = %(session_id)s)
        and (%(only)s::text is null or event.application = %(only)s)
    order by event.application <> %(application)s, event.application limit 1"""

_COUNTS = """
    select code, event.category, event.name, count(*) as count
    from eye.rejected_events event cross join unnest(event.codes) code"""

# a rejected event that was redriven is stored as an event
_NOT_REDRIVEN = "event.redriven_by is null"
_OWN = "event.application = %(only)s"

COUNT_FILTERS = (*event_type_filters("event"), *time_filters("event.received_at"))


def _rejected(row: Row) -> RejectedEvent:
    return to_struct(row, RejectedEvent, "errors")


def _place(row: Row) -> Place:
    return Place(row["received_at"], row["row_id"], row["application"])


ERRORS = Listing(
    name="errors",
    select=_SELECT,
    source=_SOURCE,
    columns=tuple(name for name in RejectedEvent.__struct_fields__ if name != "status"),
    filters=(
        Parameter(
            "code",
            "Events with this code.",
            "event.codes @> array[%(code)s::text]",
            schema={"enum": [code.value for code in Code]},
        ),
        Parameter("session_id", "Of this session.", "event.session_id = %(session_id)s"),
        *COUNT_FILTERS,
    ),
    always=(_NOT_REDRIVEN,),
    own=_OWN,
    order=("event.received_at", "event.event_id", "event.application"),
    after=("%(moment)s", "%(id)s::uuid", "%(application)s"),
    item=_rejected,
    place=_place,
)


async def find_rejected_event(
    database: Database, application: str, event_id: str, session_id: str | None, only: str | None = None
) -> RejectedEvent | None:
    """Return the rejected event with an id, as sent, in a session if one is given; `only`: of this application alone.

    An id that is no UUID is one of the application's own.
    """
    wanted = {"id": row_id(application, event_id), "application": application, "session_id": session_id, ONLY: only}
    for row in await database.rows(_BY_ID, wanted):
        return _rejected(row)
    return None


async def count_errors(database: Database, given: Mapping[str, Any]) -> list[Count]:
    """Return the number of rejected events of each code and event type, the most frequent first."""
    own = [_OWN] if given.get(ONLY) is not None else []
    query = f"""{_COUNTS}{where(COUNT_FILTERS, given, _NOT_REDRIVEN, *own)}
    group by code, event.category, event.name
    order by count(*) desc, code, event.category, event.name limit {MAX_COUNTS}"""
    return [Count(**row) for row in await database.rows(query, given)]


def paths() -> Json:
    """Return the calls as the OpenAPI document has them."""
    filters = [known.openapi() for known in COUNT_FILTERS]
    return {
        "/errors": {"get": ERRORS.call("Rejected events, by received_at", "Errors")},
        "/errors/summary": {"get": call("Counts by code and event type", "Counts", READ_PROBLEMS, filters)},
    }
