"""Rows and positions that the work on a partition stored."""

from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry

from sinks.group_commit import GroupCommit
from sinks.metrics import SinkMetrics
from sinks.postgres.pool import Pool, lend
from sinks.table_partition import TablePartition
from sinks.tables.corrections import event_writer
from sinks.tables.events import EventRow, event_rows
from sinks.tables.refusals import set_aside
from sinks.tables.table import Table
from sinks.tables.writer import Writer
from tests.unit.sinks.test_binary_builders import a_verdict_record, an_accepted_event


def event_work(
    pool: Pool,
    *,
    earliest: int = 0,
    end: int = 1_000_000,
    writer: Writer[EventRow] | None = None,
    max_refused_share: float = 0.5,
) -> TablePartition[EventRow]:
    async def bounds() -> tuple[int, int]:
        return earliest, end

    table = Table("events", "events", event_rows, writer or event_writer(), set_aside)
    return TablePartition(pool, a_registry(), table, "some.topic", 0, bounds, max_refused_share, GroupCommit(pool))


def a_registry() -> SinkMetrics:
    return SinkMetrics(CollectorRegistry())


async def read(pool: Pool, query: str) -> list[Any]:
    async with lend(pool) as connection:
        return await (await connection.execute(query)).fetchall()


async def position_and_rows(pool: Pool) -> tuple[int, int, int]:
    """Return next_offset, row_count and the number of events."""
    [(next_offset, row_count)] = await read(pool, "select next_offset, row_count from eye.sink_positions")
    [(stored,)] = await read(pool, "select count(*) from eye.events")
    return next_offset, row_count, stored


def refused_events(number: int) -> list[Any]:
    return [a_verdict_record(an_accepted_event(data=b'{"a": "\\u0000"}'), offset=offset) for offset in range(number)]
