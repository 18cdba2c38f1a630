"""The spool: what is accepted while Kafka is away arrives, once and in order, whatever happens in between."""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path

import pytest
from aiokafka import TopicPartition

from eye.local.choice import Kafka
from gateway.app import build_app
from gateway.metrics import Metrics
from gateway.outgoing import Outcome, OutgoingRecord
from gateway.publish.publisher import Publisher
from schemas.settings import Settings, SettingsError
from schemas.topics import topic_names
from tests.integration.gateway.outages.outage_sender import Sender, check, is_drained, is_unreachable, readiness
from tests.integration.gateway.test_json_builders import (
    a_gateway,
    all_records,
    an_event,
    eventually,
    is_ready,
    post,
)


async def test_events_taken_while_kafka_is_away_arrive_once_in_order(there: Settings, broker: Kafka) -> None:
    # however slow this disk is while a broker starts on it, an event waits for the spool rather than be refused
    patient = there.model_copy(update={"acknowledge_seconds": 30.0})
    async with a_gateway(patient) as client:
        sender = Sender(client)
        assert [await sender.send() for _ in range(5)] == [202] * 5
        broker.kill()
        assert [await sender.send() for _ in range(10)] == [202] * 10
        assert sender.slowest < 2
        status, found = await readiness(client)
        assert (status, found["spool"]["records"]) == (200, 100)
        assert found["spool"]["oldest_seconds"] > 0
        assert found["spool"]["bytes"] > 100 * 200
        await asyncio.to_thread(broker.start)
        while not await is_drained(client):
            assert await sender.send() == 202
        assert [await sender.send() for _ in range(5)] == [202] * 5
        async with client.get("/metrics") as answer:
            metrics = await answer.text()

    assert len(sender.accepted) == sender.sent
    # what was under way when the broker was killed may be there twice
    check(await all_records(there), sender.accepted, doubled=10)
    assert list(there.spool_directory.glob("*.spool")) == []
    assert "eye_gateway_spool_records 0.0" in metrics
    assert "eye_gateway_spooled_total 0.0" not in metrics


async def test_while_kafka_is_known_to_be_away_nobody_waits_for_it(there: Settings, broker: Kafka) -> None:
    broker.kill()

    async with a_gateway(there) as client:
        sender = Sender(client)
        assert [await sender.send() for _ in range(5)] == [202] * 5
        await asyncio.to_thread(broker.start)
        await eventually(lambda: is_drained(client))

    assert sender.slowest < there.spool_after_seconds
    check(await all_records(there), sender.accepted)


async def test_a_batch_that_is_under_way_when_it_is_spooled_is_written_once(there: Settings, broker: Kafka) -> None:
    async with a_gateway(there) as client:
        sender = Sender(client)
        assert await sender.send() == 202
        broker.pause()
        try:
            began = time.monotonic()
            assert await sender.send() == 202
            assert time.monotonic() - began > there.spool_after_seconds * 0.9
            assert sender.slowest < 2
            assert (await readiness(client))[1]["spool"]["records"] == 10
            assert await sender.send() == 202
        finally:
            broker.resume()
        await eventually(lambda: is_drained(client))
        assert await sender.send() == 202

    records = await all_records(there)
    assert len(records) == 40
    check(records, sender.accepted)


async def test_a_record_is_drained_as_it_came(there: Settings, broker: Kafka) -> None:
    record = OutgoingRecord(
        b"s\xc3\xa9", b'{"a":  1}', [("event_id", b"mine"), ("received_at", b"5")], time.time_ns() // 1_000_000 - 5_123
    )
    broker.kill()
    publisher = Publisher(there, Metrics())
    await publisher.start()

    assert await publisher.publish([record]) == [Outcome.DURABLE]

    await asyncio.to_thread(broker.start)
    await eventually(lambda: is_empty(publisher))
    await publisher.stop()
    [found] = await all_records(there)
    assert (found.key, found.value, list(found.headers), found.timestamp) == record


async def is_empty(publisher: Publisher) -> bool:
    return publisher.kafka_fault is None and publisher.spool.records == 0


async def test_a_producer_that_broke_for_good_delays_its_events_only(there: Settings) -> None:
    publisher = Publisher(there, Metrics())
    await publisher.start()
    await eventually(lambda: is_empty(publisher))
    record = OutgoingRecord(b"s", b"{}", [("event_id", b"mine")], 1_609_492_527_000)
    assert await publisher.publish([record]) == [Outcome.DURABLE]
    broken = publisher._connection.producer
    for partition in range(there.partitions):
        broken._txn_manager.increment_sequence_number(TopicPartition(topic_names(there).raw, partition), 100)

    assert await publisher.publish([record, record]) == [Outcome.DURABLE, Outcome.DURABLE]

    await eventually(lambda: is_empty(publisher))
    assert publisher._connection.producer is not broken
    await publisher.stop()
    assert len(await all_records(there)) == 3


async def test_a_full_spool_says_come_again_until_there_is_room(there: Settings, broker: Kafka) -> None:
    small = there.model_copy(update={"spool_max_bytes": 20_000})
    broker.kill()

    async with a_gateway(small) as client:
        sender = Sender(client)
        while await sender.send(7) == 202:
            assert sender.sent < 100
        assert 20 < len(sender.accepted) < 50
        async with client.post("/events", json=an_event(data={"x": "y" * 1_000})) as answer:
            assert (answer.status, int(answer.headers["Retry-After"])) == (503, 1)
            assert (await answer.json())["results"][0]["status"] == "retry"
        await asyncio.to_thread(broker.start)
        await eventually(lambda: is_drained(client))
        broker.kill()
        assert await sender.send(7) == 202
        await asyncio.to_thread(broker.start)
        await eventually(lambda: is_drained(client))

    records = await all_records(there)
    assert {json.loads(record.value)["number"] for record in records} == {number for _, number in sender.accepted}


async def test_a_disk_that_cannot_be_written_is_unready_and_mends_by_itself(
    there: Settings, broker: Kafka, tmp_path: Path
) -> None:
    blocked = there.model_copy(update={"spool_dir": tmp_path / "blocked"})
    (tmp_path / "blocked").write_text("a file in its place")
    broker.kill()

    async with a_gateway(blocked) as client:
        status, answer = await post(client, an_event())
        assert (status, answer["code"]) == (503, "kafka_unavailable")
        status, found = await readiness(client)
        assert (status, "can't be written" in found["checks"]["spool"]) == (503, True)
        os.unlink(tmp_path / "blocked")
        assert (await post(client, an_event()))[0] == 202
        assert await is_ready(client)
        await asyncio.to_thread(broker.start)
        await eventually(lambda: is_drained(client))

    assert len(await all_records(there)) == 1


async def test_under_load_an_outage_loses_doubles_and_disorders_nothing(there: Settings, broker: Kafka) -> None:
    async with a_gateway(there) as client:
        stop = asyncio.Event()

        async def go_on(sender: Sender) -> None:
            while not stop.is_set():
                assert await sender.send(20) == 202

        senders = [Sender(client, f"{number}-") for number in range(5)]
        running = [asyncio.create_task(go_on(sender)) for sender in senders]
        for _ in range(3):
            await send_more(senders, 200)
            broker.pause()
            await eventually(lambda: is_unreachable(client))
            await send_more(senders, 200)
            broker.resume()
            await eventually(lambda: is_drained(client))
        stop.set()
        await asyncio.gather(*running)

    assert max(sender.slowest for sender in senders) < 2
    check(await all_records(there), [event for sender in senders for event in sender.accepted])


async def send_more(senders: list[Sender], count: int) -> None:
    """Wait until each has sent so many more."""
    goals = [sender.sent + count for sender in senders]

    async def done() -> bool:
        return all(sender.sent >= goal for sender, goal in zip(senders, goals, strict=True))

    await eventually(done)


async def test_a_spool_that_would_come_too_late_is_refused_at_the_start(settings: Settings) -> None:
    with pytest.raises(SettingsError, match="EYE_SPOOL_AFTER_SECONDS"):
        build_app(settings.model_copy(update={"spool_after_seconds": 1.6}))
