"""What a sink worker does for the tables beside its rows: partitions, retention, and a look at how they are."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import UTC, datetime
from typing import Never

import psycopg

from sinks.metrics import SinkMetrics
from sinks.months import make_partitions
from sinks.postgres.pool import Pool, lend
from sinks.retention import Policy, take_out_expired
from sinks.table_stats import storage_state

log = logging.getLogger(__name__)

_LOOK_SECONDS, _TEND_SECONDS = 60.0, 6 * 3600.0


async def keep_house(pool: Pool, policy: Policy, metrics: SinkMetrics) -> Never:
    """Tend the tables now and every six hours, and look at them every minute; what fails is logged and tried again."""
    tended_at = float("-inf")
    while True:
        try:
            if time.monotonic() - tended_at > _TEND_SECONDS:
                await tend(pool, policy)
                tended_at = time.monotonic()
            async with lend(pool) as connection:
                metrics.show(await storage_state(connection), datetime.now(UTC))
        except psycopg.Error as error:
            log.warning("partitions and retention have to wait, events go to the default partition: %s", error)
        await asyncio.sleep(_LOOK_SECONDS)


async def tend(pool: Pool, policy: Policy) -> None:
    """Make the partitions that are missing, and take out what has expired. Raises psycopg.Error."""
    log.info("partitions made: %s", ", ".join(await make_partitions(pool)) or "none")
    async with lend(pool) as connection:
        expired = await take_out_expired(connection, policy, datetime.now(UTC))
    if expired is not None and expired.anything:
        log.info("retention: %s", expired)
