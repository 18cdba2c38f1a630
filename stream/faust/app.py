"""A Faust app whose agents are given chunks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import faust
from aiokafka import TopicPartition
from faust.app.base import BootStrategy
from faust.types import TP

from kafka_client.cluster_guard import ClusterGuard, guarded
from schemas.settings import Settings
from stream.faust.batches import deliver_whole_batches
from stream.faust.consumer import FAUST_LOG, ChunkConsumer, ChunkTransport
from stream.faust.fetch_wait import AT_ONCE, FetchWait
from stream.runner.flow_control import FlowControl


class _ChunkSchema(faust.Schema):  # type: ignore[misc]
    """Pass a message's value, which is the chunk, through unchanged."""

    def compile(self, app: Any, **kwargs: Any) -> Any:
        async def decode(message: Any, *, propagate: bool = False) -> Any:
            return app.create_event(None, message.value, None, message)

        return decode


class _ConsumerOnly(BootStrategy):  # type: ignore[misc]
    """Start neither Faust's web server nor its producer; the stages have their own."""

    enable_web = False
    enable_kafka_producer = False


class ChunkApp(faust.App):  # type: ignore[misc]
    """A Faust app that consumes chunks and commits no offsets by itself."""

    BootStrategy = _ConsumerOnly
    logger = FAUST_LOG

    def __init__(
        self,
        settings: Settings,
        *,
        group: str,
        instance: str,
        read_committed: bool,
        gather_ms: int = 0,
        guard: ClusterGuard | None = None,
    ) -> None:
        """Make an app; `gather_ms` is how long the broker gathers records when chunks are many, see `FetchWait`."""
        deliver_whole_batches()
        options = guarded(settings.kafka_client(), guard, f"{group}-{instance}")
        self.consumer_options = _consumer_options(settings, options, group, instance, read_committed)
        self.chunk_flow = FlowControl()  # `flow_control` is Faust's own
        self.fetch_wait = FetchWait(gather_ms, settings.fetch_bytes)
        self.ends: Mapping[TopicPartition, int] = {}
        super().__init__(
            id=group,
            broker=f"kafka://{settings.kafka_bootstrap_servers}",
            store="memory://",
            datadir=str(settings.data_dir / "faust"),
            autodiscover=False,
            topic_disable_leader=True,
            topic_allow_declare=False,
            table_standby_replicas=0,
            stream_wait_empty=False,
            stream_buffer_maxsize=64,
            broker_rebalance_timeout=30,
            broker_request_timeout=90,
            worker_redirect_stdouts=False,
        )

    def _new_transport(self) -> ChunkTransport:
        return ChunkTransport(self.conf.broker_consumer, self)

    def chunks(self, topic: str) -> Any:
        """Return a topic for an agent; the items of its stream are `Chunk`s."""
        return self.topic(topic, schema=_ChunkSchema(), acks=False)

    @property
    def chunk_consumer(self) -> ChunkConsumer:
        """The app's consumer."""
        consumer: ChunkConsumer = self.consumer
        return consumer

    def fault(self) -> str | None:
        """Return why nothing more will be read, None while the consumer works or was not started."""
        return self.chunk_consumer.fault() if self.started else None

    def lag(self, tp: TP, position: int | None) -> int:
        """Return how many offsets the work on a partition is behind, by the last fetch or by `ends`."""
        return self.chunk_consumer.lag(tp, position, self.ends.get(tp)) if position is not None else 0


def _consumer_options(
    settings: Settings, client: Mapping[str, Any], group: str, instance: str, read_committed: bool
) -> dict[str, Any]:
    """Return the options of aiokafka's consumer; times are milliseconds.

    A static member (`group_instance_id`) that dies and returns within the session timeout gets its partitions back
    at once. `max_poll_interval_ms` is practically infinite: otherwise a member with nothing to read, or without its
    database, would leave the group for good.
    """
    return {
        **client,
        "group_id": group,
        "group_instance_id": instance,
        "enable_auto_commit": False,
        "auto_offset_reset": "earliest",
        "isolation_level": "read_committed" if read_committed else "read_uncommitted",
        "max_partition_fetch_bytes": settings.fetch_bytes,
        "fetch_min_bytes": AT_ONCE.min_bytes,
        "fetch_max_wait_ms": AT_ONCE.max_wait_ms,
        "session_timeout_ms": 10_000,
        "heartbeat_interval_ms": 3_000,
        "rebalance_timeout_ms": 30_000,
        "max_poll_interval_ms": 10**15,
        "request_timeout_ms": 40_000,
        "metadata_max_age_ms": 60_000,
    }
