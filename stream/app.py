"""The stream's Faust app: one agent, from raw records to verdicts and sessions."""

from __future__ import annotations

from typing import Any

from aiokafka import TopicPartition
from faust.types import TP
from prometheus_client import CollectorRegistry

from schemas.settings import Settings
from schemas.spans import Spans
from schemas.topics import topic_names
from stream.faust.app import ChunkApp
from stream.metrics import StreamMetrics
from stream.partition import StreamPartition
from stream.runner.instance import claim_instance
from stream.runner.kafka_reader import Lookup
from stream.runner.partitions import Partitions
from stream.runner.work_spans import traced
from stream.runner.worker import Worker

_GATHER_MS = 100
"""Ten transactions a second and partition are enough, where there are many; their cost is most of a small chunk's."""


def build_worker(settings: Settings, registry: CollectorRegistry | None = None, spans: Spans | None = None) -> Worker:
    """Build a stream worker; has to be called in the event loop that it will run in. Raises CatalogueError."""
    rules = settings.rules()
    registry = registry or CollectorRegistry()
    metrics = StreamMetrics(registry, [(known.category, known.name) for known in rules.catalogue])
    app = ChunkApp(
        settings,
        group=settings.stream_group,
        instance=settings.instance or claim_instance(settings.data_dir, settings.stream_group),
        read_committed=False,
        gather_ms=_GATHER_MS,
    )

    async def committed(raw: TopicPartition) -> int | None:
        return await app.chunk_consumer.committed(TP(raw.topic, raw.partition))

    def make_work(topic: str, partition: int) -> StreamPartition:
        return StreamPartition(settings, rules, metrics, TopicPartition(topic, partition), committed)

    partitions = Partitions(app.reading, traced(make_work, spans))

    @app.agent(app.chunks(topic_names(settings).raw))
    async def judge_and_group(chunks: Any) -> None:
        """Hand each chunk of the raw topic to its partition, where it becomes verdicts and session updates."""
        async for chunk in chunks:
            partitions.hand(chunk)

    address = (settings.worker_host, settings.stream_port) if settings.stream_port is not None else None
    return Worker(
        app,
        partitions,
        registry,
        address=address,
        make_lookup=lambda: Lookup(settings, committed_only=False),
    )
