"""The partition queue: waiting, in flight, spooled; in order, settled once, refused one by one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.metrics import Metrics
from gateway.outgoing import Outcome
from gateway.publish.partition_queue import Delivery, Entry, PartitionQueue, State
from gateway.publish.sender import TooLargeForTopic, Undelivered
from gateway.spool.segments import Cursor
from gateway.spool.spool import Spool
from schemas.settings import Settings
from tests.unit.gateway.publish.batch import Batch
from tests.unit.gateway.spool.test_segment import a_record, numbered

DURABLE, RETRY, TOO_LARGE = Outcome.DURABLE, Outcome.RETRY, Outcome.TOO_LARGE


class Kafka:
    """A sender whose broker acknowledges once `go_on` is set; `answer` may raise for a batch."""

    def __init__(self) -> None:
        self.connected = True
        self.kept_ms = 3_600_000
        self.partitions = 1
        self.acknowledged: list[bytes] = []
        self.sent: list[list[bytes]] = []
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.answer: Callable[[list[bytes]], None] = lambda _: None

    async def send(self, _: int, fill: Callable[[Any], None]) -> None:
        batch = Batch()
        fill(batch)
        self.sent.append(batch.values)
        await self.go_on.wait()
        self.answer(batch.values)
        self.acknowledged += batch.values


@pytest.fixture(params=[1_000_000, 0], ids=["spool", "no spool"])
async def spool(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Spool]:
    made = Spool(Settings(spool_dir=tmp_path / "spool", spool_max_bytes=request.param), Metrics())
    await made.start()
    yield made
    await made.stop()


with_spool = pytest.mark.parametrize("spool", [1_000_000], indirect=True)
without_spool = pytest.mark.parametrize("spool", [0], indirect=True)


@pytest.fixture
def kafka() -> Kafka:
    return Kafka()


@pytest.fixture
def queue(spool: Spool, kafka: Kafka) -> PartitionQueue:
    sender: Any = kafka
    return PartitionQueue(0, State.SENDING, sender, spool)


def a_delivery(*values: bytes) -> Delivery:
    loop, records = asyncio.get_running_loop(), [a_record(value) for value in values]
    return Delivery(records, loop.time(), loop.create_future(), [None] * len(records), len(records))


def put(queue: PartitionQueue, *values: bytes) -> Delivery:
    """Add the records of one delivery."""
    delivery = a_delivery(*values)
    assert all(queue.add(Entry(delivery, index, 0)) for index in range(len(values)))
    return delivery


async def outcomes(delivery: Delivery) -> list[Outcome]:
    async with asyncio.timeout(60):
        return await delivery.done


async def spooled(spool: Spool) -> list[bytes]:
    await spool.settled()
    return [entry.record.value for entry in (await spool.read(Cursor(), 0, 1, 1_000_000)).entries]


async def test_records_go_in_order_and_one_batch_at_a_time(queue: PartitionQueue, kafka: Kafka) -> None:
    delivery = put(queue, *numbered(25))

    assert await outcomes(delivery) == [DURABLE] * 25
    assert kafka.acknowledged == numbered(25)
    assert [len(values) for values in kafka.sent] == [10, 10, 5]


async def test_a_record_that_nobody_waits_for_is_not_sent(queue: PartitionQueue, kafka: Kafka) -> None:
    kafka.go_on.clear()
    first = put(queue, b"1")
    await asyncio.sleep(0)
    second, third = put(queue, b"2"), put(queue, b"3")
    second.end()
    kafka.go_on.set()

    assert (await outcomes(first), await outcomes(second), await outcomes(third)) == ([DURABLE], [RETRY], [DURABLE])
    assert kafka.acknowledged == [b"1", b"3"]


def refuse(large: bytes) -> Callable[[list[bytes]], None]:
    def answer(values: list[bytes]) -> None:
        if large in values:
            raise TooLargeForTopic("it is")

    return answer


@pytest.mark.parametrize("place", range(5))
async def test_a_record_too_large_costs_itself_alone(queue: PartitionQueue, kafka: Kafka, place: int) -> None:
    values = numbered(5)
    kafka.answer = refuse(values[place])

    found = await outcomes(put(queue, *values))

    assert found == [TOO_LARGE if index == place else DURABLE for index in range(5)]
    assert kafka.acknowledged == [value for value in values if value != values[place]]


async def test_a_batch_too_large_of_small_records_is_split(queue: PartitionQueue, kafka: Kafka) -> None:
    def answer(values: list[bytes]) -> None:
        if len(values) > 3:
            raise TooLargeForTopic("they are")

    kafka.answer = answer

    assert await outcomes(put(queue, *numbered(10))) == [DURABLE] * 10
    assert kafka.acknowledged == numbered(10)


@with_spool
async def test_what_waits_is_moved_and_what_is_in_flight_copied(
    queue: PartitionQueue, kafka: Kafka, spool: Spool
) -> None:
    kafka.go_on.clear()
    delivery = put(queue, *numbered(12))
    await asyncio.sleep(0)

    queue.switch_to_spool()

    assert await outcomes(delivery) == [DURABLE] * 12
    assert queue.state is State.SPOOLING
    assert not queue.add(Entry(a_delivery(b"later"), 0, 0))
    assert await spooled(spool) == numbered(12)[10:]  # the copies are leased to the batch in flight
    kafka.go_on.set()
    assert queue.task is not None
    await asyncio.wait([queue.task])
    await spool.settled()
    assert spool.records == 2


@with_spool
async def test_a_batch_that_fails_is_spooled_in_its_place(queue: PartitionQueue, kafka: Kafka, spool: Spool) -> None:
    def answer(_: list[bytes]) -> None:
        raise Undelivered("Kafka has gone")

    kafka.answer = answer

    assert await outcomes(put(queue, *numbered(12))) == [DURABLE] * 12
    assert await spooled(spool) == numbered(12)


@without_spool
async def test_without_a_spool_a_batch_that_fails_is_told_to_come_again(queue: PartitionQueue, kafka: Kafka) -> None:
    def answer(_: list[bytes]) -> None:
        raise Undelivered("Kafka has gone")

    kafka.answer = answer

    assert await outcomes(put(queue, b"1", b"2")) == [RETRY, RETRY]


@with_spool
async def test_a_spooled_record_that_is_refused_in_flight_is_set_aside(
    queue: PartitionQueue, kafka: Kafka, spool: Spool
) -> None:
    kafka.answer = refuse(b"2")
    kafka.go_on.clear()
    delivery = put(queue, b"1", b"2", b"3")
    await asyncio.sleep(0)
    queue.switch_to_spool()
    assert await outcomes(delivery) == [DURABLE] * 3

    kafka.go_on.set()

    assert queue.task is not None
    await asyncio.wait([queue.task])
    await spool.settled()
    assert (kafka.acknowledged, spool.records, spool.refused) == ([b"1", b"3"], 0, 1)


@with_spool
async def test_a_task_that_is_cancelled_leaves_nothing_behind(
    queue: PartitionQueue, kafka: Kafka, spool: Spool
) -> None:
    kafka.go_on.clear()
    delivery = put(queue, *numbered(12))
    await asyncio.sleep(0)
    assert queue.task is not None

    queue.task.cancel()

    assert await outcomes(delivery) == [DURABLE] * 12
    assert await spooled(spool) == numbered(12)
    assert queue.task is None
