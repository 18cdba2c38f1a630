"""Make the monthly partitions of eye.events: ahead of need, and those of the past that events came for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from psycopg import AsyncConnection

from sinks.postgres.pool import Pool, lend

AHEAD_MONTHS = 3
"""Number of months after this one that get a partition."""

MOST_PARTITIONS = 120
"""With so many partitions, no more of the past are made: a query that names no time looks into each."""

_AT_ONCE = 12

_MAKE = "select * from eye.make_event_partitions(%s)"

_PAST = """
select month from (
    select date_trunc('month', occurred_at, 'UTC') as month, count(*) as events from eye.events_default
    where occurred_at < date_trunc('month', now(), 'UTC') and occurred_at >= coalesce(%s, '-infinity'::timestamptz)
    group by month
) past
where to_regclass('eye.' || to_char(month at time zone 'UTC', '"events_"YYYY_MM')) is null
order by events desc, month
limit greatest(0, least(%s, %s - (select count(*) from pg_inherits where inhparent = 'eye.events'::regclass)))
"""

_MAKE_HISTORICAL = "select eye.make_historical_partition(%s)"


async def make_partitions(pool: Pool) -> list[str]:
    """Make the missing partitions and return their names. Raises psycopg.Error.

    Waits at most 3 s for a lock, since writers queue behind it meanwhile.
    """
    async with _transaction(pool) as connection:
        made = await (await connection.execute(_MAKE, (AHEAD_MONTHS,))).fetchall()
    return [name for (name,) in made]


async def make_historical_partitions(pool: Pool, oldest: datetime | None) -> list[str]:
    """Make partitions for events of the past that are in the default one, and return their names. Raises psycopg.Error.

    Months with the most events come first, each in a transaction of its own, at most twelve at once. Months that ended
    before `oldest` are left alone: retention would drop them.
    """
    async with _transaction(
        pool
    ) as connection:  # its own: who has read the default partition must not wait for its lock
        past = await (await connection.execute(_PAST, (oldest, _AT_ONCE, MOST_PARTITIONS))).fetchall()
    made: list[str] = []
    for month in past:
        async with _transaction(pool) as connection:
            row = await (await connection.execute(_MAKE_HISTORICAL, month)).fetchone()
        if row is not None and row[0] is not None:
            made.append(row[0])
    return made


@asynccontextmanager
async def _transaction(pool: Pool) -> AsyncIterator[AsyncConnection]:
    async with lend(pool) as connection, connection.transaction():
        await connection.execute("set local lock_timeout = '3s'")
        await connection.execute("set local statement_timeout = '10min'")  # as long as moving many rows may take
        yield connection
