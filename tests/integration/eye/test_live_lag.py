"""A replay waits while the live pipeline is behind, and only then."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition

from eye.runs import live_lag
from eye.runs.live_lag import LiveLag
from schemas.settings import Settings
from schemas.topics import topic_names
from sinks.postgres.pool import Pool, make_pool
from stream.faust import batches
from stream.faust.batches import FetchedRecord
from stream.runner.kafka_reader import Lookup

RECORDS = 5


@pytest.fixture
async def pool(settings: Settings) -> AsyncIterator[Pool]:
    async with make_pool(settings) as pool:
        yield pool


@pytest.fixture
async def lookup(settings: Settings) -> AsyncIterator[Lookup]:
    async with Lookup(settings) as lookup:
        yield lookup


@pytest.fixture
def tp(settings: Settings) -> TopicPartition:
    return TopicPartition(topic_names(settings).validated, 1)


async def publish(settings: Settings, tp: TopicPartition, seconds_ago: float, records: int = RECORDS) -> None:
    """Publish verdicts in a transaction, whose marker stands behind them."""
    written = datetime.now(UTC) - timedelta(seconds=seconds_ago)
    client = AIOKafkaProducer(**settings.kafka_client(), transactional_id=f"{tp.topic}-line")
    async with client as producer, producer.transaction():
        for _ in range(records):
            millis = int(written.timestamp() * 1000)
            await producer.send(tp.topic, b"{}", partition=tp.partition, timestamp_ms=millis)


async def store(pool: Pool, settings: Settings, tp: TopicPartition, position: int) -> None:
    """Move the sink's position, as a worker does."""
    async with pool.connection() as connection:
        await connection.execute(
            "insert into eye.sink_positions (sink, topic, partition, next_offset) values (%s, %s, %s, %s) "
            "on conflict (sink, topic, partition) do update set next_offset = excluded.next_offset",
            (f"{settings.group}events", tp.topic, tp.partition, position),
        )


class Told:
    """Record what a replay would show."""

    def __init__(self) -> None:
        self.waits: list[bool] = []
        self.began = asyncio.Event()

    def __call__(self, waits: bool) -> None:
        self.waits.append(waits)
        self.began.set()


class Clock:
    """Goes on when it is told to: how long a question takes on this machine is not what is asked here."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds


async def test_it_waits_until_the_sinks_have_caught_up(
    settings: Settings, pool: Pool, lookup: Lookup, tp: TopicPartition
) -> None:
    told = Told()
    await publish(settings, tp, seconds_ago=60)
    waiting = asyncio.ensure_future(LiveLag(settings, lookup, pool, 1, told).wait_until_low())
    await asyncio.wait_for(told.began.wait(), 60)

    await store(pool, settings, tp, RECORDS - 1)
    moved, _ = await asyncio.wait([waiting], timeout=3 * live_lag._POLL_SECONDS)
    await store(pool, settings, tp, RECORDS)
    await asyncio.wait_for(waiting, 60)

    assert not moved
    assert told.waits == [True, False]


async def test_it_takes_little_from_a_line_that_is_far_behind(
    settings: Settings, pool: Pool, lookup: Lookup, tp: TopicPartition, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []

    def record(*fields: Any) -> FetchedRecord:
        read.append(fields[2])
        return FetchedRecord(*fields)

    batches.deliver_whole_batches()
    monkeypatch.setattr(batches, "FetchedRecord", record)
    told = Told()
    await publish(settings, tp, seconds_ago=60, records=2_000)
    waiting = asyncio.ensure_future(LiveLag(settings, lookup, pool, 1, told).wait_until_low())
    await asyncio.wait_for(told.began.wait(), 60)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert read == [0]


@pytest.mark.parametrize(("seconds_ago", "most_lag"), [(0, 30), (60, 0)], ids=["what is new", "who never waits"])
async def test_it_does_not_wait_for(
    settings: Settings, pool: Pool, lookup: Lookup, tp: TopicPartition, seconds_ago: float, most_lag: float
) -> None:
    told = Told()
    await publish(settings, tp, seconds_ago)
    await LiveLag(settings, lookup, pool, most_lag, told).wait_until_low()
    assert told.waits == []


async def test_it_does_not_wait_for_the_marker_of_a_transaction(
    settings: Settings, pool: Pool, lookup: Lookup, tp: TopicPartition
) -> None:
    told = Told()
    await publish(settings, tp, seconds_ago=60)
    await store(pool, settings, tp, RECORDS)
    await LiveLag(settings, lookup, pool, 1, told).wait_until_low()
    assert told.waits == []


async def test_it_does_not_wait_for_a_line_that_nobody_works_on(
    settings: Settings, pool: Pool, lookup: Lookup, tp: TopicPartition, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    monkeypatch.setattr(live_lag, "time", clock)
    told = Told()
    live = LiveLag(settings, lookup, pool, 1, told)
    await publish(settings, tp, seconds_ago=60)

    await gives_way_until_it_stands_still(live, told, clock)
    clock.seconds += live_lag._CHECK_SECONDS
    await live.wait_until_low()
    assert told.waits == [True, False], "once it is known, no chunk is held up any more"

    await store(pool, settings, tp, 1)
    await gives_way_until_it_stands_still(live, told, clock)
    assert told.waits == [True, False, True, False], "a line that moves again is waited for again"


async def gives_way_until_it_stands_still(live: LiveLag, told: Told, clock: Clock) -> None:
    """Begin a wait; long after, nothing has moved, and it ends."""
    told.began.clear()
    clock.seconds += live_lag._CHECK_SECONDS
    waiting = asyncio.ensure_future(live.wait_until_low())
    await told.began.wait()
    clock.seconds += live_lag._STANDS_STILL_SECONDS
    await waiting
