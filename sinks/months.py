"""The monthly partitions of eye.events, made ahead of need."""

from __future__ import annotations

from sinks.postgres.pool import Pool, lend

AHEAD_MONTHS = 3
"""How many months after this one have a partition."""

_MAKE = "select * from eye.make_event_partitions(%s)"


async def make_partitions(pool: Pool) -> list[str]:
    """Make the partitions that are missing and return their names. Raises psycopg.Error.

    Writers to the default partition may have to wait for a moment, so this waits for them only briefly.
    """
    async with lend(pool) as connection, connection.transaction():
        await connection.execute("set local lock_timeout = '3s'")
        await connection.execute("set local statement_timeout = '10min'")  # as long as moving many rows may take
        made = await (await connection.execute(_MAKE, (AHEAD_MONTHS,))).fetchall()
    return [name for (name,) in made]
