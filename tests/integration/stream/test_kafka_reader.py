"""Looking things up in a partition: its bounds, and its committed records up to the present end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from schemas.settings import Settings
from schemas.topics import topic_names
from stream.runner.kafka_reader import Lookup


@pytest.fixture
def tp(settings: Settings) -> TopicPartition:
    return TopicPartition(topic_names(settings).validated, 2)


@pytest.fixture
async def lookup(settings: Settings) -> AsyncIterator[Lookup]:
    async with Lookup(settings) as lookup:
        yield lookup


@pytest.fixture
async def producer(settings: Settings) -> AsyncIterator[AIOKafkaProducer]:
    async with AIOKafkaProducer(**settings.kafka_client()) as producer:
        yield producer


async def write(producer: AIOKafkaProducer, tp: TopicPartition, *values: str, millis: int | None = None) -> None:
    for value in values:
        await producer.send_and_wait(tp.topic, value.encode(), partition=tp.partition, timestamp_ms=millis)


async def values(records: AsyncIterator[object]) -> list[str]:
    return [record.value.decode() async for record in records]  # type: ignore[attr-defined]


async def test_an_empty_partition_has_no_records_and_its_bounds_meet(lookup: Lookup, tp: TopicPartition) -> None:
    assert await lookup.bounds(tp) == (0, 0)
    assert await values(lookup.read(tp)) == []


async def test_a_partition_is_read_to_its_end(lookup: Lookup, tp: TopicPartition, producer: AIOKafkaProducer) -> None:
    await write(producer, tp, "a", "b", "c")

    assert await lookup.bounds(tp) == (0, 3)
    assert await values(lookup.read(tp)) == ["a", "b", "c"]
    assert await values(lookup.read(tp, offset=2)) == ["c"]
    assert await values(lookup.read(tp, offset=3)) == []


async def test_the_ends_of_several_partitions_are_told_at_once(
    lookup: Lookup, tp: TopicPartition, producer: AIOKafkaProducer
) -> None:
    await write(producer, tp, "a", "b")

    other = TopicPartition(tp.topic, (tp.partition + 1) % 3)
    assert await lookup.ends([tp, other]) == {tp: 2, other: 0}


async def test_it_begins_with_what_was_written_after_a_time(
    lookup: Lookup, tp: TopicPartition, producer: AIOKafkaProducer
) -> None:
    for second in (1, 2, 3):
        await write(producer, tp, str(second), millis=second * 1000)

    assert await values(lookup.read(tp, since=datetime.fromtimestamp(2, UTC))) == ["2", "3"]
    assert await values(lookup.read(tp, since=datetime.fromtimestamp(4, UTC))) == []
    assert await values(lookup.read(tp, since=datetime(1, 1, 2, tzinfo=UTC))) == ["1", "2", "3"]


async def test_what_has_expired_is_left_out(
    lookup: Lookup, tp: TopicPartition, producer: AIOKafkaProducer, settings: Settings
) -> None:
    await write(producer, tp, "a", "b", "c")
    admin = AIOKafkaAdminClient(**settings.kafka_client())
    await admin.start()
    await admin.delete_records({tp: RecordsToDelete(before_offset=2)})
    await admin.close()

    assert await lookup.bounds(tp) == (2, 3)
    assert await values(lookup.read(tp)) == ["c"]
    with pytest.raises(LookupError, match="validated:2 can't be read on from offset 0: it has 2 to 2 by now"):
        [chunk async for chunk in lookup.chunks(tp, 0, 3, 10)]


async def test_the_first_offsets_since_a_moment_are_told_at_once(
    lookup: Lookup, tp: TopicPartition, producer: AIOKafkaProducer
) -> None:
    for second in (1, 2, 3):
        await write(producer, tp, str(second), millis=second * 1000)

    other = TopicPartition(tp.topic, (tp.partition + 1) % 3)
    assert await lookup.offsets_at([tp, other], datetime.fromtimestamp(2, UTC)) == {tp: 1, other: 0}
    assert await lookup.offsets_at([tp], datetime.fromtimestamp(4, UTC)) == {tp: 3}


async def test_aborted_records_are_not_there(lookup: Lookup, tp: TopicPartition, settings: Settings) -> None:
    async with AIOKafkaProducer(**settings.kafka_client(), transactional_id=f"{tp.topic}-test") as producer:
        for value, outcome in [("a", "commit"), ("b", "abort"), ("c", "commit"), ("d", "abort")]:
            await producer.begin_transaction()
            await producer.send(tp.topic, value.encode(), partition=tp.partition)
            await (producer.commit_transaction() if outcome == "commit" else producer.abort_transaction())

    assert await values(lookup.read(tp)) == ["a", "c"]


async def test_an_open_transaction_is_not_taken_for_the_end(
    lookup: Lookup, tp: TopicPartition, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stream.runner.kafka_reader._STUCK_SECONDS", 0.3)
    async with AIOKafkaProducer(**settings.kafka_client(), transactional_id=f"{tp.topic}-test") as producer:
        await producer.begin_transaction()
        await producer.send_and_wait(tp.topic, b"not yet", partition=tp.partition)

        with pytest.raises(LookupError, match=r"validated:2 can't be read to its end: a transaction is left open"):
            await values(lookup.read(tp))
        await producer.commit_transaction()

    assert await values(lookup.read(tp)) == ["not yet"]


async def test_a_new_leader_whose_high_watermark_lags_hides_nothing(
    lookup: Lookup, tp: TopicPartition, producer: AIOKafkaProducer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ask for the end: the high watermark of a fetch right after an election may be too low."""
    await write(producer, tp, "a", "b", "c")
    monkeypatch.setattr(lookup._consumer, "highwater", lambda _: 0)

    assert await values(lookup.read(tp)) == ["a", "b", "c"]
