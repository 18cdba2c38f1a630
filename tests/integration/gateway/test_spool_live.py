"""The spool: what is accepted while Kafka is away arrives, once and in order, whatever happens in between."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from aiokafka import TopicPartition

from eye.local.choice import Kafka
from eye.operations.topics import create_topics
from gateway.app import build_app
from gateway.metrics import Metrics
from gateway.outgoing import Outcome, OutgoingRecord
from gateway.publish.publisher import Publisher
from schemas.settings import Settings, SettingsError
from schemas.topics import topic_names
from tests.integration.gateway.test_json_builders import (
    AUTHORIZED,
    a_gateway,
    all_records,
    an_event,
    eventually,
    is_ready,
    post,
)
from tests.support.pipeline import EyeProcess
from tests.support.stopwatch import Stopwatch


@pytest.fixture
def there(settings: Settings, broker: Kafka) -> Settings:
    """Return a deployment on a broker that may be broken, with a spool of its own."""
    made = settings.model_copy(update={"kafka_bootstrap_servers": broker.bootstrap_servers})
    asyncio.run(create_topics(made))
    return made


class Sender:
    """Sends numbered events of some sessions; knows which were accepted."""

    def __init__(self, client: ClientSession, prefix: str = "") -> None:
        self._client = client
        self._prefix = prefix
        self.sent = 0
        self.accepted: list[tuple[str, int]] = []
        self.slowest = 0.0

    def go_on(self, client: ClientSession) -> None:
        """Send what comes to another gateway."""
        self._client = client

    async def send(self, count: int = 10) -> int:
        """Send events in one request; returns the status."""
        events = []
        for _ in range(count):
            self.sent += 1
            event_id = f"{self._prefix}{self.sent}"
            events.append(an_event(session_id=f"{self._prefix}s{self.sent % 5}", event_id=event_id, number=self.sent))
        watch = Stopwatch()
        status, answer = await post(self._client, events)
        self.slowest = max(self.slowest, watch.seconds)
        self.accepted += [
            (event["session_id"], event["number"])
            for event, result in zip(events, answer["results"], strict=True)
            if result["status"] == "ok"
        ]
        return status


def by_session(records: list[Any]) -> dict[str, list[int]]:
    """Return the numbers of each session's events in the order of the topic, each when it came first."""
    found: defaultdict[str, list[int]] = defaultdict(list)
    for record in records:
        number = json.loads(record.value)["number"]
        if number not in found[record.key.decode()]:
            found[record.key.decode()].append(number)
    return found


def check(records: list[Any], accepted: list[tuple[str, int]], *, doubled: int = 0) -> None:
    """All that was accepted is there, in order, and at most so many records twice."""
    found = by_session(records)
    assert {session: sorted(numbers) for session, numbers in found.items()} == found
    assert set(accepted) <= {(session, number) for session, numbers in found.items() for number in numbers}
    assert len(records) - sum(map(len, found.values())) <= doubled


async def readiness(client: ClientSession) -> tuple[int, dict[str, Any]]:
    async with client.get("/readyz") as answer:
        return answer.status, await answer.json()


async def is_drained(client: ClientSession) -> bool:
    _, found = await readiness(client)
    return bool(found["checks"]["kafka"] == "ok" and found["spool"]["records"] == 0)


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
    assert list(there.spool_directory.iterdir()) == []
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
        b"s\xc3\xa9", b'{"a":  1}', [("event_id", b"mine"), ("received_at", b"5")], 1_609_492_527_123
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


@asynccontextmanager
async def a_process(settings: Settings, number: int = 1) -> AsyncIterator[tuple[EyeProcess, ClientSession]]:
    """Lend a gateway in a process of its own, and a client of it."""
    process = EyeProcess("gateway", number, settings, settings.data_dir / "logs")
    process.start()
    try:
        async with ClientSession(process.url, headers=AUTHORIZED) as client:
            await eventually(lambda: is_alive(client))
            yield process, client
    finally:
        process.kill()


async def is_alive(client: ClientSession) -> bool:
    try:
        async with client.get("/healthz") as answer:
            return answer.status == 200
    except OSError:
        return False


async def test_a_killed_gateways_spool_is_drained_before_newer_events(there: Settings, broker: Kafka) -> None:
    async with a_process(there) as (process, client):
        await eventually(lambda: is_drained(client))
        sender = Sender(client)
        assert await sender.send() == 202
        broker.kill()
        assert [await sender.send() for _ in range(20)] == [202] * 20
        process.kill()

    async with a_process(there, 2) as (_, client):
        assert (await readiness(client))[1]["spool"]["records"] == 200
        sender.go_on(client)
        assert [await sender.send() for _ in range(5)] == [202] * 5
        await asyncio.to_thread(broker.start)
        await eventually(lambda: is_drained(client))

    assert len(sender.accepted) == 260
    # what was under way when the broker was killed may be there twice
    check(await all_records(there), sender.accepted, doubled=10)


async def test_a_gateway_killed_while_it_drains_loses_nothing(there: Settings, broker: Kafka) -> None:
    broker.kill()
    async with a_process(there) as (process, client):
        sender = Sender(client)
        assert [await sender.send(100) for _ in range(40)] == [202] * 40
        await asyncio.to_thread(broker.start)
        await eventually(lambda: has_fewer(client, 4_000))
        process.kill()

    async with a_process(there, 2) as (_, client):
        await eventually(lambda: is_drained(client))

    check(await all_records(there), sender.accepted, doubled=4_000)


async def has_fewer(client: ClientSession, count: int) -> bool:
    return bool((await readiness(client))[1]["spool"]["records"] < count)


async def test_a_running_gateway_takes_over_what_a_killed_one_spooled(there: Settings, broker: Kafka) -> None:
    async with a_gateway(there) as survivor:
        async with a_process(there) as (process, client):
            broker.kill()
            await eventually(lambda: is_unreachable(survivor))
            await eventually(lambda: is_unreachable(client))
            sender, other = Sender(client, "killed-"), Sender(survivor, "other-")
            for _ in range(5):
                assert await sender.send() == await other.send() == 202
            assert (await readiness(survivor))[1]["spool"]["records"] == 50
            process.kill()
        await eventually(lambda: has_spooled(survivor, 100))
        assert await other.send() == 202
        await asyncio.to_thread(broker.start)
        await eventually(lambda: is_drained(survivor))

    check(await all_records(there), sender.accepted + other.accepted)


async def has_spooled(client: ClientSession, count: int) -> bool:
    return bool((await readiness(client))[1]["spool"]["records"] == count)


async def is_unreachable(client: ClientSession) -> bool:
    return bool((await readiness(client))[1]["checks"]["kafka"] != "ok")


async def test_sigterm_leaves_the_spool_to_the_next_gateway(there: Settings, broker: Kafka) -> None:
    async with a_process(there) as (process, client):
        await eventually(lambda: is_drained(client))
        sender = Sender(client)
        assert await sender.send() == 202
        broker.kill()
        assert [await sender.send() for _ in range(5)] == [202] * 5
        watch = Stopwatch()
        await asyncio.to_thread(process.stop, 15)
        assert (process.exit_code(), watch.seconds < 15) == (0, True)

    await asyncio.to_thread(broker.start)
    async with a_gateway(there) as client:
        await eventually(lambda: is_drained(client))

    check(await all_records(there), sender.accepted, doubled=10)


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
