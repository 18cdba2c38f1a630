"""The state of the tables: partitions ahead of need, rows that have none, and the oldest rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from psycopg import AsyncConnection

COUNTED_ROWS = 100_000
"""Rows of the default partition are counted up to this many."""

_STATE = """
select array(select inhrelid::regclass::text from pg_inherits where inhparent = 'eye.events'::regclass),
    (select count(*) from (select from eye.events_default limit %s) counted),
    pg_database_size(current_database()),
    (select min(occurred_at) from eye.events),
    (select min(received_at) from eye.rejected_events),
    (select min(started_at) from eye.sessions)
"""


@dataclass(frozen=True, slots=True)
class Storage:
    """Months after this one that have a partition, rows of the default one, size of all, the oldest row by table."""

    months_ahead: int
    default_rows: int
    database_bytes: int
    oldest: Mapping[str, datetime | None]


async def storage_state(connection: AsyncConnection) -> Storage:
    """Look at the tables. Raises psycopg.Error."""
    row = await (await connection.execute(_STATE, (COUNTED_ROWS,))).fetchone()
    assert row is not None
    partitions, default_rows, database_bytes, *oldest = row
    return Storage(
        months_ahead=_months_ahead({name.removeprefix("eye.") for name in partitions}, datetime.now(UTC)),
        default_rows=default_rows,
        database_bytes=database_bytes,
        oldest=dict(zip(("events", "rejected_events", "sessions"), oldest, strict=True)),
    )


def _months_ahead(partitions: set[str], now: datetime) -> int:
    """Count the months after this one, up to the first that has no partition."""
    ahead = 0
    while True:
        month = now.year * 12 + now.month + ahead
        if f"events_{month // 12:04}_{month % 12 + 1:02}" not in partitions:
            return ahead
        ahead += 1
