"""The sinks' Faust app: three agents, one for each topic that becomes a table."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from aiokafka import TopicPartition
from prometheus_client import CollectorRegistry

from schemas.settings import Settings
from schemas.spans import Spans
from schemas.topics import topic_names
from sinks.housekeeping import keep_house
from sinks.metrics import SinkMetrics
from sinks.postgres.pool import Pool, make_pool
from sinks.retention import Policy, policy_of
from sinks.table_topics import table_works
from stream.faust.app import ChunkApp
from stream.runner.instance import claim_instance
from stream.runner.kafka_reader import Lookup
from stream.runner.partitions import Partitions
from stream.runner.work import PartitionWork
from stream.runner.work_spans import traced
from stream.runner.worker import Worker


def build_worker(settings: Settings, registry: CollectorRegistry | None = None, spans: Spans | None = None) -> Worker:
    """Build a sink worker; has to be called in the event loop that it will run in. Raises SettingsError."""
    pool = make_pool(settings)
    topics = topic_names(settings)
    app = ChunkApp(
        settings,
        group=settings.sinks_group,
        instance=settings.instance or claim_instance(settings.data_dir, settings.sinks_group),
        read_committed=True,
    )

    async def bounds(topic: str, partition: int) -> tuple[int, int]:
        async with Lookup(settings, committed_only=False) as lookup:
            return await lookup.bounds(TopicPartition(topic, partition))

    registry = registry or CollectorRegistry()
    metrics = SinkMetrics(registry)
    works = table_works(settings, pool, metrics, bounds)

    def make_work(topic: str, partition: int) -> PartitionWork:
        return works[topic](partition)

    partitions = Partitions(app.reading, traced(make_work, spans))

    @app.agent(app.chunks(topics.validated))
    async def store_events(chunks: Any) -> None:
        """Hand each chunk of accepted events to its partition, where it becomes rows of eye.events."""
        async for chunk in chunks:
            partitions.hand(chunk)

    @app.agent(app.chunks(topics.rejected))
    async def store_rejected_events(chunks: Any) -> None:
        """Hand each chunk of rejected events to its partition: rows of eye.rejected_events."""
        async for chunk in chunks:
            partitions.hand(chunk)

    @app.agent(app.chunks(topics.sessions))
    async def store_sessions(chunks: Any) -> None:
        """Hand each chunk of session summaries to its partition: rows of eye.sessions, the latest of each."""
        async for chunk in chunks:
            partitions.hand(chunk)

    address = (settings.worker_host, settings.sinks_port) if settings.sinks_port is not None else None
    return Worker(
        app,
        partitions,
        registry,
        address=address,
        report_positions=True,
        surroundings=_database(pool, policy_of(settings), metrics),
        make_lookup=lambda: Lookup(settings),
    )


@asynccontextmanager
async def _database(pool: Pool, policy: Policy, metrics: SinkMetrics) -> AsyncIterator[None]:
    """Keep the pool open, and the tables in order, for as long as the worker lives."""
    async with pool:
        keeping = asyncio.create_task(keep_house(pool, policy, metrics))
        try:
            yield
        finally:
            keeping.cancel()
            with suppress(asyncio.CancelledError):
                await keeping
