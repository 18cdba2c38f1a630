"""Statistics of the tables: partitions ahead of need, rows without a month's partition, oldest rows, size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from psycopg import AsyncConnection

COUNTED_ROWS = 100_000
"""Rows of the default partition are counted up to this number."""

_STATE = """
select array(select inhrelid::regclass::text from pg_inherits where inhparent = 'eye.events'::regclass),
    (select count(*) from (select from eye.events_default limit %s) counted),
    pg_database_size(current_database()),
    (select min(occurred_at) from eye.events),
    (select min(received_at) from eye.rejected_events),
    (select min(started_at) from eye.sessions)
"""


@dataclass(frozen=True, slots=True)
class TableStats:
    """Months after this one with a partition, rows of the default one, bytes of the database, oldest row by table."""

    months_ahead: int
    default_rows: int
    database_bytes: int
    oldest: Mapping[str, datetime | None]


async def read_table_stats(connection: AsyncConnection) -> TableStats:
    """Read the statistics. Raises psycopg.Error."""
    row = await (await connection.execute(_STATE, (COUNTED_ROWS,))).fetchone()
    assert row is not None
    partitions, default_rows, database_bytes, *oldest = row
    return TableStats(
        months_ahead=_months_ahead({name.removeprefix("eye.") for name in partitions}, datetime.now(UTC)),
        default_rows=default_rows,
        database_bytes=database_bytes,
        oldest=dict(zip(("events", "rejected_events", "sessions"), oldest, strict=True)),
    )


def _months_ahead(partitions: set[str], now: datetime) -> int:
    """Count the months after this one up to the first without a partition."""
    ahead = 0
    while True:
        month = now.year * 12 + now.month + ahead
        if f"events_{month // 12:04}_{month % 12 + 1:02}" not in partitions:
            return ahead
        ahead += 1
