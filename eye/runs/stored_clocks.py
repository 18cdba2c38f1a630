"""The clock offsets of sessions, as the stream decided them and Postgres has them."""

from __future__ import annotations

from collections.abc import Iterable

from psycopg import AsyncConnection

_OF_SESSIONS = "select session_id, clock_offset_ms from eye.sessions where session_id = any(%s)"

# all events of a session have the same offset
_OF_EVENTS = """
select wanted.session_id, event.clock_offset_ms
from unnest(%s::text[]) as wanted (session_id)
cross join lateral (
    select clock_offset_ms from eye.events event where event.session_id = wanted.session_id
    order by occurred_at limit 1
) event
"""


async def read_clock_offsets(connection: AsyncConnection, session_ids: Iterable[str]) -> dict[str, int | None]:
    """Return the clock offset of each session that is stored: by its summary, else by its events."""
    wanted = sorted(set(session_ids))
    found: dict[str, int | None] = dict(await (await connection.execute(_OF_SESSIONS, [wanted])).fetchall())
    if missing := [session_id for session_id in wanted if session_id not in found]:
        found |= dict(await (await connection.execute(_OF_EVENTS, [missing])).fetchall())
    return found
