"""Count in Postgres the rows that replayed records lead to: present, missing, stored twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import LiteralString

from psycopg import AsyncConnection

from eye.runs.targets import CheckResult
from sinks.postgres import arrays
from sinks.tables.events import EventRow
from sinks.tables.rejected_events import RejectedRow
from sinks.tables.sessions import SessionRow

_EVENTS = """
select wanted.event_id, wanted.application, count(event.event_id), bool_or(rejected.event_id is not null)
from unnest(%b, %b, %b, %b, %s::text[])
    as wanted (event_id, application, source_partition, source_offset, run)
left join eye.replaced_verdicts replaced using (event_id, application, source_partition, source_offset)
left join eye.event_keys key using (event_id, application)
left join eye.events event on event.occurred_at = key.occurred_at
    and event.event_id = wanted.event_id and event.application = wanted.application
left join eye.rejected_events rejected on rejected.event_id = wanted.event_id
    and rejected.application = wanted.application
where replaced.run is null or replaced.run = wanted.run
group by wanted.event_id, wanted.application
"""

_REJECTED = """
select wanted.event_id, wanted.application, count(rejected.event_id), false
from unnest(%b, %b, %b, %b, %s::text[])
    as wanted (event_id, application, source_partition, source_offset, run)
left join eye.replaced_verdicts replaced using (event_id, application, source_partition, source_offset)
left join eye.rejected_events rejected on rejected.event_id = wanted.event_id
    and rejected.application = wanted.application
where replaced.run is null or replaced.redriven or replaced.run = wanted.run
group by wanted.event_id, wanted.application
"""

_SESSIONS = """
select wanted.session_id
from unnest(%s::text[], %s::bigint[]) as wanted (session_id, revision)
left join eye.sessions session on session.session_id = wanted.session_id and session.revision >= wanted.revision
where session.session_id is null
"""

_TWICE = """
select count(*) from (select from eye.events group by event_id, application having count(*) > 1) twice
"""


async def check_events(connection: AsyncConnection, rows: Sequence[EventRow]) -> CheckResult:
    """Look for events; one that Postgres refused is there as a rejected one."""
    return await _find(connection, "events", _EVENTS, rows)


async def check_rejected(connection: AsyncConnection, rows: Sequence[RejectedRow]) -> CheckResult:
    """Look for rejected events."""
    return await _find(connection, "rejected_events", _REJECTED, rows)


async def check_sessions(connection: AsyncConnection, rows: Sequence[SessionRow]) -> CheckResult:
    """Look for sessions; a newer summary will do."""
    wanted = ([row.session_id for row in rows], [row.revision for row in rows])
    missing = await (await connection.execute(_SESSIONS, wanted)).fetchall()
    return _found("sessions", len(rows), [(session_id, "") for (session_id,) in missing])


async def count_doubled_events(connection: AsyncConnection) -> int:
    """Return how many events are in eye.events more than once; looks at all of them."""
    row = await (await connection.execute(_TWICE)).fetchone()
    assert row is not None
    return int(row[0])


async def _find(
    connection: AsyncConnection, table: str, query: LiteralString, rows: Sequence[EventRow] | Sequence[RejectedRow]
) -> CheckResult:
    """Look for rows by their keys; those whose verdict was replaced are not expected."""
    keys = arrays.uuids([row.event_id for row in rows]), arrays.texts([row.application for row in rows])
    places = arrays.int4s([row.source[0] for row in rows]), arrays.int8s([row.source[1] for row in rows])
    judged = [row.republished_by.run if row.republished_by is not None else None for row in rows]
    async with connection.cursor(binary=True) as cursor:
        arrays.take_arrays(cursor)
        await cursor.execute(query, (*keys, *places, judged))
        found = await cursor.fetchall()
    missing = [
        (str(event_id), application) for event_id, application, copies, aside in found if not copies and not aside
    ]
    return _found(table, len(found), missing, twice=sum(copies > 1 for _, _, copies, _ in found))


def _found(table: str, expected: int, missing: Sequence[tuple[str, str]], twice: int = 0) -> CheckResult:
    kinds = Counter({f"{table}: there": expected - len(missing), f"{table}: missing": len(missing)})
    sample = [{"table": table, "missing": id, "application": application} for id, application in missing]
    return CheckResult(+kinds, expected, len(missing), twice, sample)
