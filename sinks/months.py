"""Make the monthly partitions of eye.events ahead of need."""

from __future__ import annotations

from sinks.postgres.pool import Pool, lend

AHEAD_MONTHS = 3
"""Number of months after this one that get a partition."""

_MAKE = "select * from eye.make_event_partitions(%s)"


async def make_partitions(pool: Pool) -> list[str]:
    """Make the missing partitions and return their names. Raises psycopg.Error.

    Waits at most 3 s for a lock, since writers queue behind it meanwhile.
    """
    async with lend(pool) as connection, connection.transaction():
        await connection.execute("set local lock_timeout = '3s'")
        await connection.execute("set local statement_timeout = '10min'")  # as long as moving many rows may take
        made = await (await connection.execute(_MAKE, (AHEAD_MONTHS,))).fetchall()
    return [name for (name,) in made]
