"""The reads as SQL: each a head, conditions for the parameters that are given, and an order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Listing:
    """A query that is read page by page.

    `conditions` are by query parameter; `after` goes on where a page ended, at (moment, id, application).
    """

    name: str
    select: str
    conditions: Mapping[str, str]
    after: str
    order: str
    always: tuple[str, ...] = ()
    group: str = ""

    def sql(self, given: Mapping[str, object], *, resumed: bool = False) -> str:
        """Return the query for the parameters that are given."""
        conditions = [*self.always, *(sql for parameter, sql in self.conditions.items() if parameter in given)]
        if resumed:
            conditions.append(self.after)
        where = f" where {' and '.join(conditions)}" if conditions else ""
        group = f" group by {self.group}" if self.group else ""
        return f"{self.select}{where}{group} order by {self.order} limit %(limit)s"


_EVENT = """
    select coalesce(event.client_event_id, event.event_id::text) as event_id, event.application, event.session_id,
        event.category, event.name, event.occurred_at, event.received_at, event.schema_version,
        event.data::text as data, event.user_id, event.context::text as context, event.event_id::text as row_id
    from eye.events event"""

_REJECTED = """
    select coalesce(event.client_event_id, event.event_id::text) as event_id, event.application, event.session_id,
        event.category, event.name, event.timestamp, event.received_at, event.errors::text as errors,
        event.raw, event.raw_encoding, event.raw_truncated, event.event_id::text as row_id
    from eye.rejected_events event"""

_SESSION = """
    select session_id, applications, revision, status, started_at, ended_at, event_count, rejected_count,
        counts_by_type::text as counts_by_type, first_event_id, last_event_id, updated_at
    from eye.sessions"""

EVENTS = Listing(
    name="events",
    select=_EVENT,
    conditions={
        "session_id": "event.session_id = %(session_id)s",
        "user_id": "event.user_id = %(user_id)s",
        "event_id": """(event.occurred_at, event.event_id, event.application) in (
            select occurred_at, event_id, application from eye.event_keys key where key.event_id = %(row_id)s)""",
        "category": "event.category = %(category)s",
        "name": "event.name = %(name)s",
        "from": "event.occurred_at >= %(from)s",
        "to": "event.occurred_at < %(to)s",
    },
    after="(event.occurred_at, event.event_id, event.application) > (%(moment)s, %(id)s::uuid, %(application)s)",
    order="event.occurred_at, event.event_id, event.application",
)

REJECTED = Listing(
    name="errors",
    select=_REJECTED,
    conditions={
        "code": "event.codes @> array[%(code)s::text]",
        "category": "event.category = %(category)s",
        "name": "event.name = %(name)s",
        "from": "event.received_at >= %(from)s",
        "to": "event.received_at < %(to)s",
    },
    after="(event.received_at, event.event_id, event.application) > (%(moment)s, %(id)s::uuid, %(application)s)",
    order="event.received_at, event.event_id, event.application",
    # what was redriven is an event now
    always=("event.redriven_by is null",),
)

SESSIONS = Listing(
    name="sessions",
    select=_SESSION,
    conditions={
        "from": "started_at >= %(from)s",
        "to": "started_at < %(to)s",
        "status": "status = %(status)s",
    },
    after="(started_at, session_id) > (%(moment)s, %(id)s)",
    order="started_at, session_id",
    # of sessions without a single accepted event nobody knows when they were
    always=("started_at is not null",),
)

# the caller's own application first: two may have used the same UUID
EVENT_BY_ID = f"""{_EVENT}
    join eye.event_keys key using (occurred_at, event_id, application)
    where key.event_id = %(id)s
    order by event.application <> %(application)s, event.application limit 1"""

REJECTED_BY_ID = f"""{_REJECTED}
    where event.event_id = %(id)s
    order by event.application <> %(application)s, event.application limit 1"""

SESSION_BY_ID = f"{_SESSION} where session_id = %(session_id)s"

SUMMARY = Listing(
    name="summary",
    select="""
    select code, event.category, event.name, count(*) as count
    from eye.rejected_events event cross join unnest(event.codes) code""",
    conditions={name: sql for name, sql in REJECTED.conditions.items() if name != "code"},
    after="false",
    always=REJECTED.always,
    group="code, event.category, event.name",
    order="count(*) desc, code, event.category, event.name",
)

SINK_POSITIONS = """
    select topic, partition, next_offset from eye.sink_positions
    where topic = any(%(topics)s) and sink = any(%(sinks)s)"""

# when a row was stored is known where Postgres keeps the times of commits
_STORED_AT = """
    case when current_setting('track_commit_timestamp') = 'on' then pg_xact_commit_timestamp(event.xmin) end
    as stored_at"""

TRACED_EVENTS = f"""
    select coalesce(event.client_event_id, event.event_id::text) as event_id, event.application, event.received_at,
        event.source_partition, event.source_offset, event.event_id::text as row_id, array[]::text[] as codes,
        {_STORED_AT}
    from eye.events event join eye.event_keys key using (occurred_at, event_id, application)
    where key.event_id = any(%(ids)s)"""

TRACED_REJECTED = f"""
    select coalesce(event.client_event_id, event.event_id::text) as event_id, event.application, event.received_at,
        event.source_partition, event.source_offset, event.event_id::text as row_id, event.codes,
        {_STORED_AT}
    from eye.rejected_events event where event.event_id = any(%(ids)s)"""
