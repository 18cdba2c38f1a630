"""Draining: in order, removed after the acknowledgement alone, and over when nothing is left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.metrics import Metrics
from gateway.publish.drain import drain
from gateway.publish.partition_queue import PartitionQueue, State
from gateway.publish.sender import TooLargeForTopic, Undelivered
from gateway.spool.record import Spooled
from gateway.spool.segments import Piece
from gateway.spool.spool import Spool
from schemas.settings import Settings
from tests.unit.gateway.publish.batch import Batch
from tests.unit.gateway.spool.test_segment import a_record, entries, numbered


class Kafka:
    """A sender; `answer` is called with the values of each batch, and may raise."""

    def __init__(self, partitions: int = 1) -> None:
        self.connected = True
        self.kept_ms = 3_600_000
        self.partitions = partitions
        self.acknowledged: list[bytes] = []
        self.answer: Callable[[list[bytes]], None] = lambda _: None

    async def send(self, partition: int, fill: Callable[[Any], None]) -> None:
        batch = Batch()
        fill(batch)
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


async def empty(queue: PartitionQueue, spool: Spool, kafka: Kafka) -> None:
    sender: Any = kafka
    queue.state = State.SPOOLING
    await drain(queue, spool, sender)
    await spool.settled()


def a_queue(spool: Spool, kafka: Kafka, partition: int = 0) -> PartitionQueue:
    sender: Any = kafka
    return PartitionQueue(partition, State.SPOOLING, sender, spool)


async def test_all_of_it_is_sent_in_order_and_then_the_lane_flows(spool: Spool, kafka: Kafka) -> None:
    spool.append(entries(*numbered(35)))
    queue = a_queue(spool, kafka)

    await empty(queue, spool, kafka)

    assert kafka.acknowledged == numbered(35)
    assert (spool.records, queue.state) == (0, State.SENDING)


async def test_what_comes_meanwhile_is_sent_behind(spool: Spool, kafka: Kafka) -> None:
    spool.append(entries(*numbered(15)))

    def more(values: list[bytes]) -> None:
        if values[0] == numbered(1)[0]:
            spool.append(entries(*numbered(15, 15)))

    kafka.answer = more

    await empty(a_queue(spool, kafka), spool, kafka)

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
    queue = a_queue(spool, kafka, 1)

    async with asyncio.timeout(30):
        await empty(queue, spool, kafka)

    assert (kafka.acknowledged, queue.state) == (numbered(15), State.SENDING)


async def test_what_kafka_did_not_acknowledge_is_still_there(spool: Spool, kafka: Kafka, tmp_path: Path) -> None:
    spool.append(entries(*numbered(35)))

    def refuse(values: list[bytes]) -> None:
        if len(kafka.acknowledged) == 20:
            raise Undelivered("Kafka has gone")

    kafka.answer = refuse
    queue = a_queue(spool, kafka)
    with pytest.raises(Undelivered):
        await empty(queue, spool, kafka)
    await spool.settled()
    assert (spool.records, queue.state) == (15, State.DRAINING)
    kafka.answer = lambda _: None

    await empty(queue, spool, kafka)

    assert kafka.acknowledged == numbered(35)


async def test_a_batch_under_way_is_on_disk_until_it_is_acknowledged(spool: Spool, kafka: Kafka) -> None:
    spool.append(entries(*numbered(30)))
    seen: list[int] = []
    kafka.answer = lambda _: seen.append(spool.records)

    await empty(a_queue(spool, kafka), spool, kafka)

    assert seen[0] == 30
    assert all(left >= 30 - len(kafka.acknowledged) for left in seen)


async def test_a_record_whose_first_send_was_acknowledged_is_not_sent_again(spool: Spool, kafka: Kafka) -> None:
    under_way = [Spooled(a_record(b"1"), 0, leased=True), Spooled(a_record(b"2"), 0, leased=True)]
    spool.append([*under_way, *entries(b"3")])
    spool.remove(under_way)

    await empty(a_queue(spool, kafka), spool, kafka)

    assert (kafka.acknowledged, spool.records) == ([b"3"], 0)


async def test_a_record_whose_first_send_failed_is_sent_in_its_place(spool: Spool, kafka: Kafka) -> None:
    under_way = [Spooled(a_record(b"1"), 0, leased=True)]
    spool.append([*under_way, *entries(b"2")])
    spool.release(under_way)

    await empty(a_queue(spool, kafka), spool, kafka)

    assert kafka.acknowledged == [b"1", b"2"]


async def test_another_partition_is_left_to_its_own_lane(spool: Spool) -> None:
    kafka = Kafka(partitions=2)
    spool.append(entries(b"1", key_hash=2) + entries(b"2", key_hash=3))

    await empty(a_queue(spool, kafka, 1), spool, kafka)

    assert (kafka.acknowledged, spool.records) == ([b"2"], 1)


async def test_a_record_too_large_is_set_aside_alone(spool: Spool, kafka: Kafka) -> None:
    spool.append(entries(*numbered(25)))
    large = numbered(25)[13]

    def refuse(values: list[bytes]) -> None:
        if large in values:
            raise TooLargeForTopic("1 of them")

    kafka.answer = refuse

    await empty(a_queue(spool, kafka), spool, kafka)

    assert kafka.acknowledged == [value for value in numbered(25) if value != large]
    assert (spool.records, spool.refused) == (0, 1)
    assert "set aside" in (spool.remark or "")
