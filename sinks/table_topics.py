"""The topics that are stored, each with its table and the work on its partitions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext
from functools import partial
from typing import Any

from schemas.settings import Settings
from schemas.topics import sink_names, topic_names
from sinks.group_commit import GroupCommit
from sinks.metrics import SinkMetrics
from sinks.postgres.pool import Pool
from sinks.table_partition import TablePartition
from sinks.tables.corrections import event_writer, rejected_writer
from sinks.tables.events import event_rows
from sinks.tables.refusals import set_aside, skip
from sinks.tables.rejected_events import rejected_rows
from sinks.tables.sessions import SessionWriter, session_rows
from sinks.tables.table import Table
from sinks.tables.writer import Timed
from stream.runner.work import PartitionWork


def partition_works(
    settings: Settings, pool: Pool, metrics: SinkMetrics, bounds: Callable[[str, int], Awaitable[tuple[int, int]]]
) -> Mapping[str, Callable[[int], PartitionWork]]:
    """Return, by topic, a function that makes the work on one of its partitions.

    `bounds` returns the earliest offset of a topic's partition in Kafka and its end. A position belongs to the
    settings' group: another group starts at the earliest offset, and finds the rows stored already.
    """
    share, group = settings.max_refused_share, GroupCommit(pool)

    def works(topic: str, table: Table[Any]) -> Callable[[int], PartitionWork]:
        def make_work(number: int) -> PartitionWork:
            return TablePartition(pool, metrics, table, topic, number, partial(bounds, topic, number), share, group)

        return make_work

    return {topic: works(topic, table) for topic, table in tables(settings, metrics).items()}


def tables(settings: Settings, metrics: SinkMetrics | None = None) -> Mapping[str, Table[Any]]:
    """Return, by topic, the table it is stored in; `metrics` times every COPY."""
    topics, sinks = topic_names(settings), sink_names(settings)

    def timed(table: str) -> Timed:
        return partial(metrics.copying, table) if metrics is not None else nullcontext

    events = Table(
        name="events",
        sink=sinks[topics.validated],
        make_rows=event_rows,
        writer=event_writer(timed("events")),
        set_aside=set_aside,
    )
    rejected_events = Table(
        name="rejected_events",
        sink=sinks[topics.rejected],
        make_rows=rejected_rows,
        writer=rejected_writer(timed("rejected_events")),
        set_aside=set_aside,
    )
    sessions = Table(
        name="sessions",
        sink=sinks[topics.sessions],
        make_rows=session_rows,
        writer=SessionWriter(timed("sessions")),
        set_aside=skip,
    )
    return {topics.validated: events, topics.rejected: rejected_events, topics.sessions: sessions}
