"""The monthly partitions of eye.events, made ahead of need."""

from __future__ import annotations

import asyncio
import logging
from typing import Never

import psycopg

from sinks.pool import Pool, lend

log = logging.getLogger(__name__)

AHEAD_MONTHS = 3
"""How many months after this one have a partition."""

_MAKE = "select * from eye.make_event_partitions(%s)"

_EVERY_SECONDS, _AGAIN_SECONDS = 6 * 3600.0, 60.0


async def make_partitions(pool: Pool) -> list[str]:
    """Make the partitions that are missing and return their names. Raises psycopg.Error.

    Writers to the default partition may have to wait for a moment, so this waits for them only briefly.
    """
    async with lend(pool) as connection, connection.transaction():
        await connection.execute("set local lock_timeout = '3s'")
        await connection.execute("set local statement_timeout = '10min'")  # as long as moving many rows may take
        made = await (await connection.execute(_MAKE, (AHEAD_MONTHS,))).fetchall()
    return [name for (name,) in made]


async def keep_partitions(pool: Pool) -> Never:
    """Make partitions now and every six hours; a failure is logged and tried again soon."""
    while True:
        try:
            made = await make_partitions(pool)
        except psycopg.Error as error:
            log.warning("no partitions made, events go to the default one: %s", error)
            await asyncio.sleep(_AGAIN_SECONDS)
        else:
            log.info("partitions made: %s", ", ".join(made) or "none")
            await asyncio.sleep(_EVERY_SECONDS)
