"""The app of a stage as a worker sees it; `stream.faust.app.ChunkApp` is the one there is."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Protocol

from aiokafka import TopicPartition


class Signal(Protocol):
    """A signal of the app, sent on each rebalance."""

    def connect(self, receiver: Callable[..., Coroutine[Any, Any, None]], *, weak: bool) -> Any:
        """Have a receiver called whenever the signal is sent."""


class ReportingConsumer(Protocol):
    """The part of the app's consumer that reports positions to Kafka."""

    async def report_positions(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit offsets to the group. A failure is only logged."""


class StageApp(Protocol):
    """Consumes chunks of a stage's topics, within a consumer group."""

    ends: Mapping[TopicPartition, int]
    crash_reason: BaseException | None
    on_partitions_assigned: Signal
    on_partitions_revoked: Signal

    @property
    def started(self) -> bool:
        """True once `start` was called."""

    @property
    def rebalancing(self) -> bool:
        """True while a rebalance is under way."""

    @property
    def chunk_consumer(self) -> ReportingConsumer:
        """The app's consumer."""

    async def start(self) -> Any:
        """Begin to consume."""

    async def stop(self) -> Any:
        """Leave the group and disconnect."""

    async def wait_until_stopped(self) -> Any:
        """Wait until the app has stopped or crashed."""

    def add_future(self, coroutine: Coroutine[Any, Any, None]) -> Any:
        """Run a coroutine until the app stops."""

    def fault(self) -> str | None:
        """Return why nothing more will be read, None while the consumer works or was not started."""

    def lag(self, tp: TopicPartition, position: int | None) -> int:
        """Return how many offsets the work on a partition is behind."""
