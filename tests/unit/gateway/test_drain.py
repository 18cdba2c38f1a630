"""Draining: in order, removed after the acknowledgement alone, and over when nothing is left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.metrics import Metrics
from gateway.publish.drain import Undelivered, drain
from gateway.publish.partition_queue import Lane
from gateway.spool.segment import Spooled
from gateway.spool.segments import Piece
from gateway.spool.spool import Spool
from schemas.settings import Settings
from tests.unit.gateway.test_segment import a_record, entries, numbered


class Batch:
    """A batch that takes ten records."""

    def __init__(self) -> None:
        self.values: list[bytes] = []

    def append(self, *, value: bytes, **_: Any) -> object:
        if len(self.values) == 10:
            return None
        self.values.append(value)
        return value


class Kafka:
    """A connection and its producer; `answer` is called with what each batch brings, and may raise."""

    def __init__(self, partitions: int = 1) -> None:
        self.producer: Any = self
        self.partitions = partitions
        self.acknowledged: list[bytes] = []
        self.answer: Callable[[list[bytes]], None] = lambda _: None

    def create_batch(self) -> Batch:
        return Batch()

    async def transmit(self, producer: Any, batch: Batch, lane: Lane) -> None:
        self.answer(batch.values)
        self.acknowledged += batch.values


@pytest.fixture
async def spool(tmp_path: Path) -> AsyncIterator[Spool]:
    made = Spool(Settings(spool_dir=tmp_path / "spool"), Metrics())
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
def kafka() -> Kafka:
    return Kafka()


async def empty(lane: Lane, spool: Spool, kafka: Kafka) -> None:
    connection: Any = kafka
    await drain(lane, spool, connection, kafka.transmit)
    await spool.settled()


def a_lane(partition: int = 0) -> Lane:
    return Lane(partition, spooling=True)


async def test_all_of_it_is_sent_in_order_and_then_the_lane_flows(spool: Spool, kafka: Kafka) -> None:
    spool.append(entries(*numbered(35)))
    lane = a_lane()

    await empty(lane, spool, kafka)

    assert kafka.acknowledged == numbered(35)
    assert (spool.records, lane.spooling) == (0, False)


async def test_what_comes_meanwhile_is_sent_behind(spool: Spool, kafka: Kafka) -> None:
    spool.append(entries(*numbered(15)))

    def more(values: list[bytes]) -> None:
        if values[0] == numbered(1)[0]:
            spool.append(entries(*numbered(15, 15)))

    kafka.answer = more

    await empty(a_lane(), spool, kafka)

    assert kafka.acknowledged == numbered(30)


async def test_a_lane_flows_again_however_much_is_spooled_for_others(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    kafka = Kafka(partitions=2)
    spool.append(entries(*numbered(15), key_hash=3))
    read = spool.read

    async def read_behind_more(*where: Any) -> Piece:
        _, written = spool.append(entries(b"another's", key_hash=2))
        await written
        return await read(*where)

    monkeypatch.setattr(spool, "read", read_behind_more)
    lane = a_lane(1)

    async with asyncio.timeout(30):
        await empty(lane, spool, kafka)

    assert (kafka.acknowledged, lane.spooling) == (numbered(15), False)


async def test_what_kafka_did_not_acknowledge_is_still_there(spool: Spool, kafka: Kafka, tmp_path: Path) -> None:
    spool.append(entries(*numbered(35)))

    def refuse(values: list[bytes]) -> None:
        if len(kafka.acknowledged) == 20:
            raise Undelivered("Kafka has gone")

    kafka.answer = refuse
    lane = a_lane()
    with pytest.raises(Undelivered):
        await empty(lane, spool, kafka)
    await spool.settled()
    assert (spool.records, lane.spooling) == (15, True)
    kafka.answer = lambda _: None

    await empty(lane, spool, kafka)

    assert kafka.acknowledged == numbered(35)


async def test_a_batch_under_way_is_on_disk_until_it_is_acknowledged(spool: Spool, kafka: Kafka) -> None:
    spool.append(entries(*numbered(30)))
    seen: list[int] = []
    kafka.answer = lambda _: seen.append(spool.records)

    await empty(a_lane(), spool, kafka)

    assert seen[0] == 30
    assert all(left >= 30 - len(kafka.acknowledged) for left in seen)


async def test_a_record_whose_first_send_was_acknowledged_is_not_sent_again(spool: Spool, kafka: Kafka) -> None:
    under_way = [Spooled(a_record(b"1"), 0, taken=True), Spooled(a_record(b"2"), 0, taken=True)]
    spool.append([*under_way, *entries(b"3")])
    spool.remove(under_way)

    await empty(a_lane(), spool, kafka)

    assert (kafka.acknowledged, spool.records) == ([b"3"], 0)


async def test_a_record_whose_first_send_failed_is_sent_in_its_place(spool: Spool, kafka: Kafka) -> None:
    under_way = [Spooled(a_record(b"1"), 0, taken=True)]
    spool.append([*under_way, *entries(b"2")])
    spool.release(under_way)

    await empty(a_lane(), spool, kafka)

    assert kafka.acknowledged == [b"1", b"2"]


async def test_another_partition_is_left_to_its_own_lane(spool: Spool) -> None:
    kafka = Kafka(partitions=2)
    spool.append(entries(b"1", key_hash=2) + entries(b"2", key_hash=3))

    await empty(a_lane(1), spool, kafka)

    assert (kafka.acknowledged, spool.records) == ([b"2"], 1)
