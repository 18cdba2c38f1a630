"""Kafka away and no spool: answers come in time, nothing is promised that is not so, and all goes on by itself."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import ClientSession
from aiokafka import TopicPartition

from eye.local.choice import Kafka
from eye.operations.topics import create_topics
from gateway.metrics import Metrics
from gateway.outgoing import Outcome, OutgoingRecord
from gateway.publish import connection, publisher
from gateway.publish.publisher import Publisher
from schemas.settings import Settings
from schemas.topics import topic_names
from tests.integration.gateway.test_json_builders import a_gateway, an_event, eventually, is_ready, post, records_of
from tests.support.stopwatch import Stopwatch

DURABLE, RETRY = Outcome.DURABLE, Outcome.RETRY


@pytest.fixture
def without_topics(settings: Settings, broker: Kafka) -> Settings:
    return settings.model_copy(update={"kafka_bootstrap_servers": broker.bootstrap_servers, "spool_max_bytes": 0})


@pytest.fixture
def there(without_topics: Settings) -> Settings:
    """Return settings of a deployment on the brittle broker, without a spool."""
    asyncio.run(create_topics(without_topics))
    return without_topics


async def is_unready(client: ClientSession) -> bool:
    return not await is_ready(client)


async def is_accepted(client: ClientSession) -> bool:
    return (await post(client, an_event()))[0] == 202


async def refused_in_time(client: ClientSession) -> None:
    """Send two events that can't be stored now; they are told to come again, within 2 s."""
    watch = Stopwatch()
    async with client.post("/events", json=[an_event(), an_event(), 5]) as response:
        problem = await response.json()
    assert watch.seconds < 2
    assert response.status == 503
    assert response.content_type == "application/problem+json"
    assert int(response.headers["Retry-After"]) >= 1
    assert problem["code"] == "kafka_unavailable"
    assert [result["status"] for result in problem["results"]] == ["retry", "retry", "invalid"]


async def test_a_gateway_starts_without_kafka_and_finds_it_when_it_comes(there: Settings, broker: Kafka) -> None:
    broker.kill()

    async with a_gateway(there, until_ready=False) as client:
        await refused_in_time(client)
        async with client.get("/readyz") as response:
            assert (response.status, "Kafka" in (await response.json())["reasons"][0]) == (503, True)
        async with client.get("/healthz") as response:
            assert response.status == 200
        await asyncio.to_thread(broker.start)
        await eventually(lambda: is_ready(client))
        assert await is_accepted(client)


async def test_a_killed_broker_loses_nothing_that_was_accepted(there: Settings, broker: Kafka) -> None:
    async with a_gateway(there) as client:
        sent = [(await post(client, an_event()))[1] for _ in range(10)]
        broker.kill()
        await refused_in_time(client)
        await eventually(lambda: is_unready(client))
        await asyncio.to_thread(broker.start)
        await eventually(lambda: is_ready(client))
        sent += [(await post(client, an_event()))[1] for _ in range(10)]
        stored = {event for answer in sent for event in [answer["results"][0]["event_id"]] if answer["accepted"]}

    assert len(stored) == 20
    # what was under way when the broker was killed may be there as well
    found = {dict(record.headers)["event_id"].decode() for record in await at_least(there, 20)}
    assert stored <= found


async def at_least(settings: Settings, count: int) -> list[Any]:
    for extra in range(3):
        try:
            return await records_of(settings, count + extra)
        except AssertionError:
            continue
    return await records_of(settings, count)


async def test_a_broker_that_hangs_is_waited_for_in_bounds(there: Settings, broker: Kafka) -> None:
    async with a_gateway(there) as client:
        assert await is_accepted(client)
        broker.pause()
        try:
            await refused_in_time(client)
            await eventually(lambda: is_unready(client))
        finally:
            broker.resume()
        await eventually(lambda: is_accepted(client))


async def test_a_missing_topic_is_named_and_found_when_it_is_made(without_topics: Settings) -> None:
    async with a_gateway(without_topics, until_ready=False) as client:

        async def says_what_to_do() -> bool:
            async with client.get("/readyz") as response:
                return response.status == 503 and "`eye topics create`" in await response.text()

        await eventually(says_what_to_do)
        await refused_in_time(client)
        await create_topics(without_topics)
        await eventually(lambda: is_ready(client))
        assert await is_accepted(client)


async def test_stopping_takes_no_longer_when_kafka_is_away(there: Settings, broker: Kafka) -> None:
    async with a_gateway(there) as client:
        assert await is_accepted(client)
        broker.kill()
        await refused_in_time(client)
        watch = Stopwatch()

    assert watch.seconds < 10


def a_record(value: bytes = b"{}", key: bytes = b"s") -> OutgoingRecord:
    return OutgoingRecord(key, value, [("event_id", b"mine")], 1_609_492_527_000)


async def writes(publishing: Publisher) -> bool:
    return await publishing.publish([a_record()]) == [DURABLE]


@pytest.fixture
async def publishing(there: Settings) -> Publisher:
    """Return a publisher that is connected; the test stops it."""
    made = Publisher(there, Metrics())
    await made.start()
    await eventually(lambda: writes(made))
    return made


async def test_a_producer_that_broke_for_good_is_replaced(publishing: Publisher, there: Settings) -> None:
    broken = publishing._connection.producer
    for partition in range(there.partitions):
        broken._txn_manager.increment_sequence_number(TopicPartition(topic_names(there).raw, partition), 100)

    assert await publishing.publish([a_record(), a_record()]) == [RETRY, RETRY]

    await eventually(lambda: writes(publishing))
    assert publishing._connection.producer is not broken
    await publishing.stop()


async def test_after_long_silence_the_producer_is_replaced(
    publishing: Publisher, broker: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "SILENT_SECONDS", 0.5)
    silent = publishing._connection.producer
    broker.kill()
    assert await publishing.publish([a_record()]) == [RETRY]

    await asyncio.to_thread(broker.start)

    await eventually(lambda: writes(publishing))
    assert publishing._connection.producer is not silent
    await publishing.stop()


async def test_what_was_told_to_come_again_is_not_written_later(
    publishing: Publisher, broker: Kafka, there: Settings
) -> None:
    broker.pause()
    try:
        under_way = asyncio.create_task(publishing.publish([a_record(b"1")]))
        await eventually(lambda: is_under_way(publishing))
        assert await publishing.publish([a_record(b"2"), a_record(b"3")]) == [RETRY, RETRY]
        assert await under_way == [RETRY]
    finally:
        broker.resume()

    await eventually(lambda: writes(publishing))
    await publishing.stop()
    values = {record.value for record in await at_least(there, 3)}
    assert values == {b"1", b"{}"}


async def is_under_way(publishing: Publisher) -> bool:
    return publishing._connection.oldest_in_flight() is not None


async def test_what_waits_is_bounded(publishing: Publisher, broker: Kafka, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher, "MAX_WAITING_BYTES", 10_000)
    broker.pause()
    try:
        waiting = asyncio.create_task(publishing.publish([a_record(b"x" * 9_000)]))
        await eventually(lambda: is_under_way(publishing))
        watch = Stopwatch()
        assert await publishing.publish([a_record(b"x" * 9_000)]) == [RETRY]
        assert watch.seconds < 0.5
        await waiting
    finally:
        broker.resume()
    await eventually(lambda: writes(publishing))
    await publishing.stop()
