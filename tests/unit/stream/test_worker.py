"""A worker process: it works until it is told to stop, and ends by itself rather than live on in vain."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from faust.types import TP
from prometheus_client import CollectorRegistry

from kafka_client.cluster_guard import ClusterGuard, ClusterMemory, ForeignCluster
from stream.runner.flow_control import FlowControl
from stream.runner.partitions import Partitions
from stream.runner.worker import Worker, WorkerCrashed
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


@pytest.fixture(autouse=True)
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.runner.worker._WATCH_SECONDS", 0.005)
    monkeypatch.setattr("stream.runner.worker._STOP_SECONDS", 0.02)


@pytest.fixture(autouse=True)
def collecting_as_before() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


async def test_stopping_releases_the_partitions_and_ends_without_error() -> None:
    bench = Bench()

    async with bench.running() as task:
        await bench.assign()
        terminate()

    assert task.exception() is None
    await bench.work.called("close")
    assert bench.partitions.status() == {}
    assert bench.app.calls == ["start", "stop"]


async def test_partitions_come_and_go_with_the_groups_assignment() -> None:
    bench = Bench()

    async with bench.running():
        await bench.assign()
        assert set(bench.worker.status()) == {ONE}
        await bench.app.on_partitions_revoked.send(bench.app, {ONE})
        assert bench.worker.status() == {}
        terminate()


async def test_its_surroundings_are_there_before_and_after_the_work() -> None:
    steps: list[str] = []

    @asynccontextmanager
    async def surroundings() -> AsyncIterator[None]:
        steps.append("entered")
        yield
        steps.append(f"left after {bench.app.calls}")

    bench = Bench(surroundings=surroundings())

    async with bench.running():
        assert steps == ["entered"]
        terminate()

    assert steps == ["entered", "left after ['start', 'stop']"]


async def test_an_app_that_does_not_stop_is_left_behind() -> None:
    bench = Bench()
    bench.app.hangs = True

    async with bench.running() as task:
        terminate()

    assert task.exception() is None


async def test_a_failing_preparation_is_a_crash() -> None:
    async def prepare() -> None:
        raise OSError("no answer")

    with pytest.raises(WorkerCrashed, match=r"^OSError: no answer$"):
        await Bench().worker.run(prepare)


async def test_told_to_stop_while_it_prepares_it_ends_without_an_error() -> None:
    preparing = asyncio.Event()

    async def prepare() -> None:
        preparing.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(Bench().worker.run(prepare))
    async with asyncio.timeout(60):
        await preparing.wait()
        terminate()
        await task


async def crash(bench: Bench) -> str:
    """Return what the worker says when it ends by itself."""
    async with bench.running() as task:
        pass
    error = task.exception()
    assert isinstance(error, WorkerCrashed)
    return str(error)


async def test_an_app_that_stops_by_itself_is_a_crash() -> None:
    bench = Bench()
    bench.app.crash_reason = RuntimeError("lost")
    bench.app.stopped.set()

    assert await crash(bench) == "the Faust app stopped by itself: RuntimeError('lost')"


async def test_a_consumer_that_gave_up_is_a_crash() -> None:
    bench = Bench()
    bench.app.gave_up = "the heartbeat ended"

    assert await crash(bench) == "Kafka's consumer gave up: the heartbeat ended"


async def test_a_rebalance_without_an_end_is_a_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.runner.worker._REBALANCE_SECONDS", 0.01)
    bench = Bench()
    bench.app.rebalancing = True

    assert (await crash(bench)).startswith("a rebalance took more than")


async def test_a_cluster_that_was_accepted_meanwhile_is_a_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.runner.worker._CLUSTER_SECONDS", 0.005)
    bench = Bench()
    bench.memory.cluster_id = "another"

    assert await crash(bench) == "another Kafka cluster was accepted"


async def test_a_standstill_is_no_crash_while_kafka_is_foreign(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.runner.worker._STANDSTILL_SECONDS", 0.0)
    monkeypatch.setattr("stream.runner.worker._REBALANCE_SECONDS", 0.0)
    bench = Bench()
    bench.app.behind = {ONE: 5}
    bench.app.rebalancing = True
    with pytest.raises(ForeignCluster):
        bench.guard.check("another")

    async with bench.running() as task:
        await bench.assign()
        await asyncio.wait([task], timeout=0.03)
        assert not task.done()
        terminate()


async def test_a_partition_with_lag_that_stands_still_is_a_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.runner.worker._STANDSTILL_SECONDS", 0.01)
    bench = Bench()
    bench.app.behind = {ONE: 5}

    async with bench.running() as task:
        await bench.assign()
        await asyncio.wait([task])

    assert str(task.exception()) == "events.raw:0 has lag and does not move"


class FakeLookup:
    """Knows that every partition ends at 9, and notes that it was asked for some."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def __aenter__(self) -> FakeLookup:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Nothing to let go of."""

    async def ends(self, tps: Iterable[TP]) -> dict[TP, int]:
        ends = dict.fromkeys(tps, 9)
        if ends:
            self.asked.set()
        return ends


async def test_the_ends_of_its_partitions_are_looked_up_beside_the_consumer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.runner.worker._ENDS_SECONDS", 0.005)
    lookup = FakeLookup()
    bench = Bench(make_lookup=lambda: lookup)

    async with bench.running():
        await bench.assign()
        await lookup.asked.wait()
        await asyncio.sleep(0)
        terminate()

    assert bench.app.ends == {ONE: 9}


async def test_a_standstill_is_logged_once_with_its_reason(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("stream.runner.worker.STALLED_SECONDS", 0.0)
    bench = Bench()
    bench.app.behind = {ONE: 5}
    bench.work.troubles["open"] = [OSError("the database is away")] * 1000

    async with bench.running() as task:
        await bench.assign()
        await bench.work.called("close", "open")
        await asyncio.wait([task], timeout=0.03)
        terminate()

    told = [message for message in caplog.messages if "has not moved" in message]
    assert told == ["events.raw:0 at offset None has not moved for 0 s: OSError: the database is away"]


@pytest.mark.parametrize("behind", [{}, {ONE: 5}], ids=["nothing to do", "a failure to wait out"])
async def test_a_partition_that_has_a_reason_to_stand_still_is_none(
    monkeypatch: pytest.MonkeyPatch, behind: Mapping[TP, int]
) -> None:
    monkeypatch.setattr("stream.runner.worker._STANDSTILL_SECONDS", 0.0)
    bench = Bench()
    if behind:
        bench.work.troubles["open"] = [OSError("the database is away")] * 1000

    async with bench.running() as task:
        await bench.assign()
        if behind:
            await bench.work.called("close")
        bench.app.behind = behind
        await asyncio.wait([task], timeout=0.03)
        assert not task.done()
        terminate()

    assert task.exception() is None
