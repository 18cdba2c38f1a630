"""A partition's transactions on a real Kafka: all of a chunk or nothing, and only by the last who opened."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from schemas.settings import Settings
from schemas.topics import Topics, topic_names
from stream.batch_limits import MAX_BATCH_BYTES
from stream.checkpoint import Checkpoint, OutgoingRecord
from stream.runner.kafka_reader import Lookup
from tests.e2e.reader import read_committed

PARTITION = 1


@pytest.fixture
def topics(settings: Settings) -> Topics:
    return topic_names(settings)


@asynccontextmanager
async def a_checkpoint(settings: Settings, partition: int = PARTITION) -> AsyncIterator[Checkpoint]:
    """Make a checkpoint and open it."""
    topics = topic_names(settings)
    raw = TopicPartition(topics.raw, partition)
    checkpoint = Checkpoint(settings, settings.stream_group, raw, [topics.validated, topics.rejected, topics.sessions])
    await checkpoint.open()
    yield checkpoint
    await checkpoint.close()


@pytest.fixture
async def checkpoint(settings: Settings) -> AsyncIterator[Checkpoint]:
    async with a_checkpoint(settings) as checkpoint:
        yield checkpoint


def records(*values: str) -> list[OutgoingRecord]:
    return [(b"s-1", value.encode(), [("source", b"here")]) for value in values]


async def commit(checkpoint: Checkpoint, topics: Topics, next_offset: int, *values: str) -> None:
    async with checkpoint.transaction(next_offset) as transaction:
        await transaction.write(topics.validated, records(*values))


def visible(settings: Settings, topic: str) -> list[tuple[int, str]]:
    """Return partition and value of what a reader of committed records sees."""
    return [(message.partition(), message.value().decode()) for message in read_committed(settings, topic)]


async def committed_offset(settings: Settings, partition: int = PARTITION) -> int | None:
    """Return the offset of the raw partition that the stream's group has committed, None without one."""
    raw = TopicPartition(topic_names(settings).raw, partition)
    group = {"group_id": settings.stream_group, "enable_auto_commit": False}
    async with AIOKafkaConsumer(**settings.kafka_client(), **group) as consumer:
        consumer.assign([raw])
        offset: int | None = await consumer.committed(raw)
        return offset


async def test_a_transaction_moves_records_and_position_together(
    settings: Settings, topics: Topics, checkpoint: Checkpoint
) -> None:
    async with checkpoint.transaction(7) as transaction:
        await transaction.write(topics.validated, records("a", "b"))
        await transaction.write(topics.rejected, records("c"))
        assert visible(settings, topics.validated) == []

    assert visible(settings, topics.validated) == [(PARTITION, "a"), (PARTITION, "b")]
    assert visible(settings, topics.rejected) == [(PARTITION, "c")]
    assert await committed_offset(settings) == 7


async def test_a_transaction_without_records_moves_the_position_alone(
    settings: Settings, topics: Topics, checkpoint: Checkpoint
) -> None:
    await commit(checkpoint, topics, 5)
    await commit(checkpoint, topics, 9)

    assert await committed_offset(settings) == 9


async def test_transactions_follow_each_other_in_order(
    settings: Settings, topics: Topics, checkpoint: Checkpoint
) -> None:
    for number in range(5):
        await commit(checkpoint, topics, number + 1, *(f"{number}-{letter}" for letter in "ab"))

    assert visible(settings, topics.validated) == [(PARTITION, f"{n}-{letter}") for n in range(5) for letter in "ab"]


async def test_more_than_a_batch_is_one_transaction(settings: Settings, topics: Topics, checkpoint: Checkpoint) -> None:
    long = "x" * (MAX_BATCH_BYTES // 3)

    await commit(checkpoint, topics, 10, *(f"{number}{long}" for number in range(10)))

    assert [value[0] for _, value in visible(settings, topics.validated)] == list("0123456789")


async def test_who_opens_later_fences_who_opened_before(settings: Settings, topics: Topics) -> None:
    async with a_checkpoint(settings) as former, a_checkpoint(settings) as latter:
        with pytest.raises(KafkaError):
            await commit(former, topics, 3, "of the former")
        await commit(latter, topics, 5, "of the latter")

        assert visible(settings, topics.validated) == [(PARTITION, "of the latter")]
        assert await committed_offset(settings) == 5


async def test_opening_again_aborts_the_transaction_that_was_open(
    settings: Settings, topics: Topics, checkpoint: Checkpoint
) -> None:
    async with AsyncExitStack() as stack:
        with pytest.raises(KafkaError):
            async with checkpoint.transaction(3) as transaction:
                await transaction.write(topics.validated, records("half a chunk"))
                await transaction.delivered()
                latter = await stack.enter_async_context(a_checkpoint(settings))

        assert await committed_offset(settings) is None
        await commit(latter, topics, 5, "of the latter")
        assert visible(settings, topics.validated) == [(PARTITION, "of the latter")]


async def test_a_transaction_whose_body_fails_comes_to_nothing(settings: Settings, topics: Topics) -> None:
    async with a_checkpoint(settings) as checkpoint:
        with pytest.raises(RuntimeError, match="in the middle"):
            async with checkpoint.transaction(3) as transaction:
                await transaction.write(topics.validated, records("half a chunk"))
                await transaction.delivered()
                raise RuntimeError("in the middle")

    async with a_checkpoint(settings) as checkpoint:
        assert await committed_offset(settings) is None
        await commit(checkpoint, topics, 5, "a whole chunk")

    assert visible(settings, topics.validated) == [(PARTITION, "a whole chunk")]
    assert await committed_offset(settings) == 5


async def test_opening_ends_what_an_earlier_owner_left_open(settings: Settings, topics: Topics) -> None:
    async with a_checkpoint(settings) as checkpoint:
        with pytest.raises(RuntimeError):
            async with checkpoint.transaction(3) as transaction:
                await transaction.write(topics.validated, records("left behind"))
                await transaction.delivered()
                raise RuntimeError

    async with a_checkpoint(settings), Lookup(settings) as lookup:
        found: Sequence[object] = [
            record async for record in lookup.read(TopicPartition(topics.validated, PARTITION))
        ]  # reads to its end, or raises

    assert found == []


async def test_the_same_checkpoint_can_be_opened_again(settings: Settings, topics: Topics) -> None:
    async with a_checkpoint(settings) as checkpoint:
        with pytest.raises(RuntimeError):
            async with checkpoint.transaction(3) as transaction:
                await transaction.write(topics.validated, records("half a chunk"))
                raise RuntimeError
        await checkpoint.close()
        await checkpoint.close()

        await checkpoint.open()
        await commit(checkpoint, topics, 4, "a whole chunk")

    assert visible(settings, topics.validated) == [(PARTITION, "a whole chunk")]


async def test_partitions_do_not_fence_each_other(settings: Settings, topics: Topics) -> None:
    async with a_checkpoint(settings, 0) as one, a_checkpoint(settings, 2) as two:
        await commit(one, topics, 3, "of 0")
        await commit(two, topics, 4, "of 2")

    assert sorted(visible(settings, topics.validated)) == [(0, "of 0"), (2, "of 2")]
    assert (await committed_offset(settings, 0), await committed_offset(settings, 2)) == (3, 4)
