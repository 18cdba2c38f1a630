"""The status page: live while the partitions move, ready while none of them fails."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from faust.types import TP
from prometheus_client import CollectorRegistry

from stream.runner.chunk import Chunk
from stream.runner.flow_control import FlowControl
from stream.runner.partitions import Partitions, PartitionStatus
from stream.runner.status import STALLED_SECONDS, PartitionCollector, status_page
from stream.runner.work import RecordRefused

ONE = TP("events.raw", 1)

Owned = Mapping[TP, PartitionStatus]


def a_status(position: int | None = 5, failures: int = 0, error: str | None = None, ago: float = 0) -> PartitionStatus:
    return PartitionStatus(position, failures, error, moved_at=time.monotonic() - ago)


async def ask(path: str, owned: Owned, *, lag: int = 0, stopping: bool = False) -> tuple[int, str]:
    registry = CollectorRegistry()
    registry.register(PartitionCollector(lambda: owned, lambda tp, position: lag))
    page = status_page(registry, lambda: owned, lambda tp, position: lag, lambda: stopping)
    return await answer(page, path)


async def answer(page: web.Application, path: str) -> tuple[int, str]:
    """Ask the page itself, without a network; returns status and body."""
    request = make_mocked_request("GET", path, app=page)
    found = await (await page.router.resolve(request)).handler(request)
    assert isinstance(found, web.Response)
    assert isinstance(found.body, bytes)
    return found.status, found.body.decode()


async def test_a_worker_is_live_and_ready_while_its_partitions_work() -> None:
    owned = {ONE: a_status()}

    assert await ask("/healthz", owned) == (200, '{"status": "ok"}')
    assert await ask("/readyz", owned, lag=1_000) == (200, '{"status": "ok"}')


async def test_a_partition_with_lag_that_does_not_move_is_not_healthy() -> None:
    stuck = {ONE: a_status(ago=STALLED_SECONDS + 1)}

    assert await ask("/healthz", stuck, lag=1) == (
        503, '{"status": "stalled", "stalled": {"events.raw:1": "does not move"}}',
    )  # fmt: skip


async def test_a_partition_that_cannot_be_opened_is_unhealthy_and_says_why() -> None:
    failing = {ONE: a_status(position=None, failures=9, error="OSError: no answer", ago=STALLED_SECONDS + 1)}

    assert await ask("/healthz", failing) == (
        503, '{"status": "stalled", "stalled": {"events.raw:1": "OSError: no answer"}}',
    )  # fmt: skip


async def test_a_partition_that_takes_long_to_open_is_healthy() -> None:
    assert (await ask("/healthz", {ONE: a_status(position=None, ago=100_000)}))[0] == 200


async def test_the_metrics_tell_how_long_a_lagging_partition_stood_still() -> None:
    (_, stuck), (_, idle) = [await ask("/metrics", {ONE: a_status(ago=25)}, lag=lag) for lag in (1, 0)]

    assert 'eye_partition_standstill_seconds{partition="1",topic="events.raw"} 25.' in stuck
    assert 'eye_partition_standstill_seconds{partition="1",topic="events.raw"} 0.0' in idle


async def test_a_partition_that_has_nothing_to_do_is_healthy_however_long() -> None:
    assert (await ask("/healthz", {ONE: a_status(ago=100_000)}))[0] == 200


async def test_a_partition_that_fails_is_not_ready_and_says_why() -> None:
    failing = {ONE: a_status(failures=3, error="OSError: no answer")}

    assert await ask("/readyz", failing) == (
        503, '{"status": "failing", "failing": {"events.raw:1": "OSError: no answer"}}',
    )  # fmt: skip


async def test_a_worker_without_partitions_is_healthy_and_not_ready() -> None:
    assert (await ask("/healthz", {}))[0] == 200
    assert await ask("/readyz", {}) == (503, '{"status": "failing", "failing": {"worker": "owns no partition yet"}}')


async def test_a_worker_that_stops_is_not_ready() -> None:
    assert (await ask("/readyz", {ONE: a_status()}, stopping=True))[0] == 503


async def test_the_metrics_tell_position_lag_and_failures() -> None:
    _, text = await ask("/metrics", {ONE: a_status(position=5, failures=2)}, lag=7)

    assert 'eye_partition_position{partition="1",topic="events.raw"} 5.0' in text
    assert 'eye_partition_lag_messages{partition="1",topic="events.raw"} 7.0' in text
    assert 'eye_partition_failures{partition="1",topic="events.raw"} 2.0' in text


def shown_age(text: str) -> float:
    (line,) = (line for line in text.splitlines() if line.startswith("eye_partition_lag_seconds{"))
    return float(line.split()[-1])


async def test_the_lag_in_seconds_is_the_age_of_the_next_record() -> None:
    catching_up = a_status()
    catching_up.reached = time.time() - 600

    ages = [shown_age((await ask("/metrics", {ONE: catching_up}, lag=lag))[1]) for lag in (7, 0)]

    assert 600 <= ages[0] < 610
    assert ages[1] == 0


async def test_what_is_not_even_fetched_is_as_old_as_the_standstill() -> None:
    _, text = await ask("/metrics", {ONE: a_status(ago=30)}, lag=7)

    assert 30 <= shown_age(text) < 40


async def test_a_partition_without_a_position_yet_has_no_lag() -> None:
    _, text = await ask("/metrics", {ONE: a_status(position=None)}, lag=7)

    assert "eye_partition_lag_messages{" not in text
    assert "eye_partition_failures{" in text


class WorkThatOpensAtSecondTry:
    """A partition's work whose first attempt to open fails, and that then has nothing to do."""

    def __init__(self) -> None:
        self.attempts = 0

    async def open(self) -> int:
        self.attempts += 1
        if self.attempts == 1:
            raise OSError("no answer")
        return 5

    async def process(self, chunk: Chunk) -> None:
        raise AssertionError("there is nothing to do")

    async def close(self) -> None:
        """Nothing to let go of."""


async def test_a_partition_that_opens_at_the_second_try_makes_ready() -> None:
    reading = FlowControl()
    partitions = Partitions(reading, lambda topic, partition: WorkThatOpensAtSecondTry())
    page = status_page(CollectorRegistry(), partitions.status, lambda tp, position: 0, lambda: False)
    partitions.start([ONE])
    async with asyncio.timeout(60):
        while ONE not in reading.take_seeks():
            await reading.wait_for_change(1)

    status, text = await answer(page, "/readyz")
    await partitions.stop()

    assert (status, text) == (200, '{"status": "ok"}')


def test_a_record_that_a_topic_does_not_take_is_measured() -> None:
    registry = CollectorRegistry()
    waiting = PartitionStatus(5, 1, "refused", refused=RecordRefused("events.validated", 20_000, 10_000))
    registry.register(PartitionCollector(lambda: {ONE: waiting}, lambda tp, position: 1))

    labels = {"topic": "events.raw", "partition": "1", "target": "events.validated"}
    assert registry.get_sample_value("eye_partition_refused_record_bytes", labels) == 20_000
