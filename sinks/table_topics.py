"""Which topic is stored in which table."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext
from functools import partial
from typing import Any

from schemas.settings import Settings
from schemas.topics import topic_names
from sinks.metrics import SinkMetrics
from sinks.postgres.group_commit import GroupCommit
from sinks.postgres.pool import Pool
from sinks.table_partition import TablePartition
from sinks.tables.refusals import set_aside, skip
from sinks.tables.rows import event_rows, rejected_rows, session_rows
from sinks.tables.table import Table
from sinks.tables.writers import Copying, EventWriter, RejectedWriter, SessionWriter
from stream.runner.work import PartitionWork


def table_works(
    settings: Settings, pool: Pool, metrics: SinkMetrics, bounds: Callable[[str, int], Awaitable[tuple[int, int]]]
) -> Mapping[str, Callable[[int], PartitionWork]]:
    """Return, for each topic that is stored, what makes the work on one of its partitions.

    `bounds` gives the earliest offset of a topic's partition in Kafka, and its end. A position belongs to the
    settings' group: another group begins at the earliest offset, and finds the rows there already.
    """
    share, group = settings.max_refused_share, GroupCommit(pool)

    def works(topic: str, table: Table[Any]) -> Callable[[int], PartitionWork]:
        def make_work(number: int) -> PartitionWork:
            return TablePartition(pool, metrics, table, topic, number, partial(bounds, topic, number), share, group)

        return make_work

    return {topic: works(topic, table) for topic, table in tables(settings, metrics).items()}


def tables(settings: Settings, metrics: SinkMetrics | None = None) -> Mapping[str, Table[Any]]:
    """Return, for each topic that is stored, the table it is stored in; `metrics` times every COPY."""
    topics, group = topic_names(settings), settings.group

    def copying(table: str) -> Copying:
        return partial(metrics.copying, table) if metrics is not None else nullcontext

    return {
        topics.validated: Table("events", f"{group}events", event_rows, EventWriter(copying("events")), set_aside),
        topics.rejected: Table(
            "rejected_events",
            f"{group}rejected_events",
            rejected_rows,
            RejectedWriter(copying("rejected_events")),
            set_aside,
        ),
        topics.sessions: Table("sessions", f"{group}sessions", session_rows, SessionWriter(copying("sessions")), skip),
    }
