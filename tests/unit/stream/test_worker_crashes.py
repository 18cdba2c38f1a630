"""A worker process that can't go on: it crashes rather than live on in vain, and waits where that helps."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator, Mapping

import pytest
from faust.types import TP

from kafka_client.cluster_guard import ForeignCluster
from stream.runner.worker import WorkerCrashed
from tests.unit.stream.fake_app import Bench, terminate
from tests.unit.stream.fake_work import ONE


@pytest.fixture(autouse=True)
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.runner.worker._WATCH_SECONDS", 0.005)
    monkeypatch.setattr("stream.runner.worker._STOP_SECONDS", 0.02)


@pytest.fixture(autouse=True)
def collecting_as_before() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


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
