"""The sinks' worker: stores three topics, each in its table."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from aiokafka import TopicPartition
from prometheus_client import CollectorRegistry

from kafka_client.amendments import amend_connections
from kafka_client.cluster_guard import ClusterGuard, ForeignCluster
from schemas.settings import Settings
from schemas.spans import Spans
from schemas.topics import topic_names
from sinks.kafka_clusters import DatabaseMemory
from sinks.maintenance import maintain_tables
from sinks.metrics import SinkMetrics
from sinks.postgres.pool import Pool, make_pool
from sinks.retention import Policy, policy_of
from sinks.table_topics import partition_works
from stream.faust.assembly import Stage, assemble_worker, make_app
from stream.runner.kafka_reader import Lookup
from stream.runner.work import PartitionWork
from stream.runner.worker import Worker


def build_worker(settings: Settings, registry: CollectorRegistry | None = None, spans: Spans | None = None) -> Worker:
    """Build a sink worker; has to be called in the event loop that it will run in. Raises SettingsError."""
    amend_connections()
    pool = make_pool(settings)
    topics = topic_names(settings)
    stage = Stage(
        group=settings.sinks_group,
        agents={
            topics.validated: "sinks.app.store_events",
            topics.rejected: "sinks.app.store_rejected_events",
            topics.sessions: "sinks.app.store_sessions",
        },
        port=settings.sinks_port,
        read_committed=True,
    )
    guard = ClusterGuard(DatabaseMemory(pool, settings.topic_prefix), settings.kafka_cluster_id)
    app = make_app(settings, stage, guard)

    async def bounds(topic: str, partition: int) -> tuple[int, int]:
        if await guard.changed():
            raise ForeignCluster("another Kafka cluster was accepted meanwhile")
        async with Lookup(settings, committed_only=False, guard=guard) as lookup:
            return await lookup.bounds(TopicPartition(topic, partition))

    registry = registry or CollectorRegistry()
    metrics = SinkMetrics(registry)
    works = partition_works(settings, pool, metrics, bounds)

    def make_work(topic: str, partition: int) -> PartitionWork:
        return works[topic](partition)

    return assemble_worker(
        settings,
        stage,
        app,
        make_work,
        registry,
        spans,
        guard,
        report_positions=True,
        surroundings=_database(pool, policy_of(settings), metrics),
    )


@asynccontextmanager
async def _database(pool: Pool, policy: Policy, metrics: SinkMetrics) -> AsyncIterator[None]:
    """Keep the pool open and the tables maintained while the worker lives."""
    async with pool:
        maintenance = asyncio.create_task(maintain_tables(pool, policy, metrics))
        try:
            yield
        finally:
            maintenance.cancel()
            with suppress(asyncio.CancelledError):
                await maintenance
