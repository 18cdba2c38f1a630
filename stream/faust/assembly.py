"""Assemble the worker of a stage: an agent for each topic, partitions, status page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, NamedTuple

from prometheus_client import CollectorRegistry

from kafka_client.cluster_guard import ClusterGuard
from schemas.settings import Settings
from schemas.spans import Spans
from stream.faust.app import ChunkApp
from stream.runner.instance import claim_instance
from stream.runner.kafka_reader import Lookup
from stream.runner.partitions import Partitions
from stream.runner.work_spans import MakeWork, traced
from stream.runner.worker import Worker


class Stage(NamedTuple):
    """A stage: its consumer group, what it reads, and the port of its status page (None: no page).

    `agents` names the agent of each topic. With `read_committed` it reads committed records only.
    """

    group: str
    agents: Mapping[str, str]
    port: int | None
    read_committed: bool
    gather_ms: int = 0


def make_app(settings: Settings, stage: Stage, guard: ClusterGuard) -> ChunkApp:
    """Make the stage's app, as a member of its group under a name of its own, in the cluster that the guard knows."""
    return ChunkApp(
        settings,
        group=stage.group,
        instance=settings.instance or claim_instance(settings.data_dir, stage.group),
        read_committed=stage.read_committed,
        gather_ms=stage.gather_ms,
        guard=guard,
    )


def assemble_worker(
    settings: Settings,
    stage: Stage,
    app: ChunkApp,
    make_work: MakeWork,
    registry: CollectorRegistry,
    spans: Spans | None,
    guard: ClusterGuard,
    *,
    report_positions: bool = False,
    surroundings: AbstractAsyncContextManager[None] | None = None,
) -> Worker:
    """Make a worker that delivers each chunk to the work on its partition; has to be called in its event loop."""
    partitions = Partitions(app.chunk_flow, traced(make_work, spans))
    for topic, name in stage.agents.items():
        app.agent(app.chunks(topic), name=name)(_deliver_to(partitions))
    return Worker(
        app,
        partitions,
        registry,
        guard,
        address=(settings.worker_host, stage.port) if stage.port is not None else None,
        report_positions=report_positions,
        surroundings=surroundings,
        make_lookup=lambda: Lookup(settings, committed_only=stage.read_committed, guard=guard),
    )


def _deliver_to(partitions: Partitions) -> Callable[[Any], Any]:
    """Return an agent's function, which delivers the chunks of its stream."""

    async def deliver_chunks(chunks: Any) -> None:
        async for chunk in chunks:
            partitions.deliver(chunk)

    return deliver_chunks
