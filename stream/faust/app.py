"""A Faust app whose agents are given chunks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import faust
from aiokafka import TopicPartition
from faust.app.base import BootStrategy
from faust.types import TP

from schemas.settings import Settings
from stream.faust.consumer import ChunkConsumer, ChunkTransport
from stream.faust.fetch_wait import AT_ONCE, Pace
from stream.faust.flow_control import Reading


class _ChunkSchema(faust.Schema):  # type: ignore[misc]
    """Hands a message's value on as it is: the chunk."""

    def compile(self, app: Any, **kwargs: Any) -> Any:
        async def decode(message: Any, *, propagate: bool = False) -> Any:
            return app.create_event(None, message.value, None, message)

        return decode


class _ConsumerOnly(BootStrategy):  # type: ignore[misc]
    """Starts no web server and no producer: the stages have their own."""

    enable_web = False
    enable_kafka_producer = False


class ChunkApp(faust.App):  # type: ignore[misc]
    """A Faust app that consumes by chunks, and commits nothing on its own."""

    BootStrategy = _ConsumerOnly

    def __init__(
        self, settings: Settings, *, group: str, instance: str, read_committed: bool, gather_ms: int = 0
    ) -> None:
        """`gather_ms`: how long records are gathered where chunks are many, see `Pace`."""
        self.consumer_options = _consumer_options(settings, group, instance, read_committed)
        self.reading = Reading()
        self.pace = Pace(gather_ms, settings.fetch_bytes)
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
        """Return a topic to make an agent of; its stream's items are `Chunk`s."""
        return self.topic(topic, schema=_ChunkSchema(), acks=False)

    @property
    def chunk_consumer(self) -> ChunkConsumer:
        """The app's consumer."""
        consumer: ChunkConsumer = self.consumer
        return consumer

    def fault(self) -> str | None:
        """Say why nothing more will be read, None while all is well or nothing was begun."""
        return self.chunk_consumer.fault() if self.started else None

    def lag(self, tp: TP, position: int | None) -> int:
        """Return how many offsets the work on a partition is behind, as of the last fetch or of `ends`."""
        return self.chunk_consumer.lag(tp, position, self.ends.get(tp)) if position is not None else 0


def _consumer_options(settings: Settings, group: str, instance: str, read_committed: bool) -> dict[str, Any]:
    """Return what aiokafka's consumer is made with; times are milliseconds.

    A static member (`group_instance_id`) that dies and comes back within the session timeout gets its
    partitions back at once. `max_poll_interval_ms` is without end: a member that
    has nothing to read, or whose database is away, would leave the group and never come back.
    """
    return settings.kafka_client() | {
        "client_id": f"{group}-{instance}",
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
