"""Fakes of a stage's app and of its memory of the cluster, and a worker that uses them."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any

from faust.types import TP
from prometheus_client import CollectorRegistry

from kafka_client.cluster_guard import ClusterGuard, ClusterMemory
from stream.runner.flow_control import FlowControl
from stream.runner.partitions import Partitions
from stream.runner.worker import Worker
from tests.unit.stream.fake_work import ONE, FakeWork


class FakeSignal:
    """Faust's signals: who is connected is called."""

    def __init__(self) -> None:
        self.send: Callable[..., Coroutine[Any, Any, None]]

    def connect(self, receiver: Callable[..., Coroutine[Any, Any, None]], *, weak: bool) -> None:
        assert not weak, "nobody else keeps it"
        self.send = receiver


class FakeApp:
    """A Faust app that starts and stops, and whose state is set by the test."""

    def __init__(self) -> None:
        self.on_partitions_assigned = FakeSignal()
        self.on_partitions_revoked = FakeSignal()
        self.rebalancing = False
        self.started = True
        self.crash_reason: BaseException | None = None
        self.calls: list[str] = []
        self.running = asyncio.Event()
        self.stopped = asyncio.Event()
        self.hangs = False
        self.gave_up: str | None = None
        self.behind: Mapping[TP, int] = {}
        self.ends: Mapping[TP, int] = {}

    async def start(self) -> None:
        self.calls.append("start")
        self.running.set()

    async def stop(self) -> None:
        self.calls.append("stop")
        if self.hangs:
            await asyncio.Event().wait()

    async def wait_until_stopped(self) -> None:
        await self.stopped.wait()

    def fault(self) -> str | None:
        return self.gave_up

    def lag(self, tp: TP, position: int | None) -> int:
        return self.behind.get(tp, 0)


class FakeMemory(ClusterMemory):
    """Remembers what the test says."""

    def __init__(self) -> None:
        self.cluster_id: str | None = "ours"

    async def read(self) -> str | None:
        return self.cluster_id

    async def remember(self, cluster_id: str) -> str:
        return self.cluster_id or cluster_id


class Bench:
    """A worker whose app is a fake, and whose partitions are not."""

    def __init__(self, **options: Any) -> None:
        self.app = FakeApp()
        self.work = FakeWork()
        self.partitions = Partitions(FlowControl(), lambda topic, partition: self.work)
        app: Any = self.app
        self.memory = FakeMemory()
        self.guard = ClusterGuard(self.memory)
        self.guard.known = "ours"
        self.worker = Worker(app, self.partitions, CollectorRegistry(), self.guard, **options)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.Task[None]]:
        """Run the worker until it ends; gives its task."""
        task = asyncio.create_task(self.worker.run())
        async with asyncio.timeout(60):
            await self.app.running.wait()
            yield task
            await asyncio.wait([task])

    async def assign(self) -> None:
        """Assign a partition, and wait until its work is open."""
        await self.app.on_partitions_assigned.send(self.app, {ONE})
        await self.work.called("open")


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)
