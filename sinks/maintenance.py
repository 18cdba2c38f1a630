"""Maintain the tables beside storing rows: monthly partitions, retention, statistics for the metrics."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import UTC, datetime
from typing import Never

import psycopg

from sinks.metrics import SinkMetrics
from sinks.months import make_historical_partitions, make_partitions
from sinks.postgres.pool import Pool, lend
from sinks.retention import Policy, take_out_expired
from sinks.table_stats import TableStats, read_table_stats

log = logging.getLogger(__name__)

_STATS_SECONDS, _MAINTENANCE_SECONDS = 60.0, 6 * 3600.0


async def maintain_tables(pool: Pool, policy: Policy, metrics: SinkMetrics) -> Never:
    """Maintain the tables now and every six hours, read their statistics every minute; log failures and try again.

    Events that came for a month of the past get its partition within a minute.
    """
    maintained_at, default_rows = float("-inf"), 0
    while True:
        try:
            if time.monotonic() - maintained_at > _MAINTENANCE_SECONDS:
                await maintain(pool, policy)
                maintained_at = time.monotonic()
            stats = await _read_stats(pool)
            if stats.default_rows not in (0, default_rows):
                await make_history(pool, policy)
                stats = await _read_stats(pool)
            default_rows = stats.default_rows
            metrics.show(stats, datetime.now(UTC))
        except psycopg.Error as error:
            log.warning("partitions and retention have to wait, events go to the default partition: %s", error)
        await asyncio.sleep(_STATS_SECONDS)


async def maintain(pool: Pool, policy: Policy) -> None:
    """Make missing partitions and delete expired rows. Raises psycopg.Error."""
    log.info("partitions made: %s", ", ".join(await make_partitions(pool)) or "none")
    await make_history(pool, policy)
    async with lend(pool) as connection:
        expired = await take_out_expired(connection, policy, datetime.now(UTC))
    if expired is not None and expired.anything:
        log.info("retention: %s", expired)


async def make_history(pool: Pool, policy: Policy) -> None:
    """Make partitions for events of the past that retention keeps. Raises psycopg.Error."""
    oldest = None if policy.events is None else datetime.now(UTC) - policy.events
    if made := await make_historical_partitions(pool, oldest):
        log.info("partitions made for events of the past: %s", ", ".join(made))


async def _read_stats(pool: Pool) -> TableStats:
    async with lend(pool) as connection:
        return await read_table_stats(connection)
