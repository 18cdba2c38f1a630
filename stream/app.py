"""The stream's worker: judges raw records and groups them by session."""

from __future__ import annotations

from aiokafka import TopicPartition
from faust.types import TP
from prometheus_client import CollectorRegistry

from kafka_client.amendments import amend_connections
from kafka_client.cluster_file import ClusterFile
from kafka_client.cluster_guard import ClusterGuard
from schemas.contracts.published import judging_rules
from schemas.settings import Settings
from schemas.spans import Spans
from schemas.topics import topic_names
from stream.faust.assembly import Stage, assemble_worker, make_app
from stream.metrics import StreamMetrics
from stream.partition import StreamPartition
from stream.runner.worker import Worker

_GATHER_MS = 100
"""Gather records for this long when chunks are many: a transaction is most of the cost of a small chunk, and ten
transactions a second and partition are enough."""


def build_worker(settings: Settings, registry: CollectorRegistry | None = None, spans: Spans | None = None) -> Worker:
    """Build a stream worker; has to be called in the event loop that it will run in. Raises CatalogueError."""
    amend_connections()
    rules = judging_rules(settings)
    registry = registry or CollectorRegistry()
    metrics = StreamMetrics(registry, [(known.category, known.name) for known in rules.catalogue])
    raw_topic = topic_names(settings).raw
    stage = Stage(
        group=settings.stream_group,
        agents={raw_topic: "stream.app.judge_and_group"},
        port=settings.stream_port,
        read_committed=False,
        gather_ms=_GATHER_MS,
    )
    guard = ClusterGuard(ClusterFile(settings.data_dir, raw_topic), settings.kafka_cluster_id)
    app = make_app(settings, stage, guard)

    async def committed(raw: TopicPartition) -> int | None:
        return await app.chunk_consumer.committed(TP(raw.topic, raw.partition))

    def make_work(topic: str, partition: int) -> StreamPartition:
        return StreamPartition(settings, rules, metrics, TopicPartition(topic, partition), committed, guard)

    return assemble_worker(settings, stage, app, make_work, registry, spans, guard)
