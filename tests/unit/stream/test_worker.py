"""A worker process: it works until it is told to stop, and ends by itself rather than live on in vain."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager

import pytest
from faust.types import TP

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
