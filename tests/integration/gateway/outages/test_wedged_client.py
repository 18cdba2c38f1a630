"""A Kafka client that wedges, or loses a background task: it is replaced, and no accepted event is lost."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.metrics import Metrics
from gateway.outgoing import Outcome, OutgoingRecord
from gateway.publish import connection
from gateway.publish.publisher import Publisher
from schemas.settings import Settings
from tests.integration.gateway.outages.outage_sender import Sender, check, is_drained
from tests.integration.gateway.test_json_builders import a_gateway, all_records, eventually
from tests.support.proxy import Proxy
from tests.support.stopwatch import Stopwatch

RECOVERY_SECONDS = 20.0

TASKS: dict[str, Callable[[Any], asyncio.Task[None]]] = {
    "sender": lambda producer: producer._sender.sender_task,
    "metadata synchronizer": lambda producer: producer.client._sync_task,
}


@asynccontextmanager
async def a_publisher(settings: Settings) -> AsyncIterator[Publisher]:
    """Lend a publisher that is connected; stopping it takes less than 10 s whatever state it is in."""
    made = Publisher(settings, Metrics())
    await made.start()
    await eventually(lambda: is_connected(made))
    yield made
    watch = Stopwatch()
    await made.stop()
    assert watch.seconds < 10


async def is_connected(publisher: Publisher) -> bool:
    return publisher.kafka_fault is None


def a_record() -> OutgoingRecord:
    return OutgoingRecord(b"s", b"{}", [("event_id", b"mine")], 1_609_492_527_000)


async def writes(publisher: Publisher) -> bool:
    """Write a record; tells whether it is durable and nothing is left in the spool."""
    return await publisher.publish([a_record()]) == [Outcome.DURABLE] and publisher.spool.records == 0


@pytest.mark.parametrize("name", TASKS)
async def test_a_background_task_that_ends_is_recovered_from(settings: Settings, name: str) -> None:
    async with a_publisher(settings) as publisher:
        killed = publisher._connection.producer
        TASKS[name](killed).cancel()

        await eventually(lambda: is_another(publisher, killed), RECOVERY_SECONDS)
        await eventually(lambda: writes(publisher), RECOVERY_SECONDS)


async def is_another(publisher: Publisher, producer: Any) -> bool:
    return publisher._connection.producer not in (None, producer)


@pytest.mark.parametrize("name", TASKS)
async def test_without_a_background_task_a_stop_ends_in_time(
    settings: Settings, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "ended_task", lambda _: None)
    async with a_publisher(settings) as publisher:
        producer = publisher._connection.producer
        TASKS[name](producer).cancel()
        await asyncio.wait([TASKS[name](producer)])
        producer.client.cluster._partitions.clear()  # what a metadata update would bring back
        writing = asyncio.create_task(writes(publisher))
        await eventually(lambda: is_in_flight(publisher))

    await writing


async def is_in_flight(publisher: Publisher) -> bool:
    return publisher._connection.oldest_in_flight() is not None


PRODUCE = 0
"""The number of Kafka's request to write."""


def lose_writes(producer: Any) -> None:
    """Have a producer's writes get no answer from now on, while its other requests do."""
    send = producer.client.send

    async def send_others(node: Any, request: Any, **options: Any) -> Any:
        if request.API_KEY == PRODUCE:
            await asyncio.Event().wait()
        return await send(node, request, **options)

    producer.client.send = send_others


async def test_a_batch_that_is_in_flight_for_long_means_a_new_producer(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "IN_FLIGHT_SECONDS", 2.0)
    async with a_publisher(settings) as publisher:
        stuck = publisher._connection.producer
        lose_writes(stuck)

        assert await publisher.publish([a_record()]) == [Outcome.DURABLE]
        assert publisher.spool.records == 1

        await eventually(lambda: is_another(publisher, stuck), RECOVERY_SECONDS)
        await eventually(lambda: writes(publisher), RECOVERY_SECONDS)


@pytest.mark.processes
async def test_a_network_that_fails_at_random_loses_and_disorders_nothing(proxied: tuple[Proxy, Settings]) -> None:
    proxy, there = proxied
    chance = random.Random(18)
    async with a_gateway(there) as client:
        stop = asyncio.Event()

        async def go_on(sender: Sender) -> None:
            while not stop.is_set():
                await sender.send(10)

        senders = [Sender(client, f"{number}-") for number in range(4)]
        running = [asyncio.create_task(go_on(sender)) for sender in senders]
        for _ in range(40):
            match chance.choice(["reset", "reset", "delay", "blackhole", "throttle"]):
                case "reset":
                    await asyncio.to_thread(proxy.reset)
                case "delay":
                    proxy.delay = chance.uniform(0.01, 0.3)
                case "blackhole":
                    proxy.blackhole = True
                case "throttle":
                    proxy.throttle = chance.uniform(10_000, 100_000)
            await asyncio.sleep(chance.uniform(0.05, 0.8))
            proxy.heal()
        stop.set()
        await asyncio.gather(*running)
        assert proxy.resets > 10
        await eventually(lambda: is_drained(client), 60)

    accepted = [event for sender in senders for event in sender.accepted]
    assert len(accepted) > 100
    check(await all_records(there), accepted, doubled=len(accepted))


PROGRAM = """
import asyncio, os, signal
import gateway.server
from gateway.publish.publisher import Publisher
from schemas.settings import Settings

async def wait_for_ever(self):
    await asyncio.Event().wait()

Publisher.stop = wait_for_ever
gateway.server.STOP_SECONDS = 1.0
gateway.server.run(Settings(), ready=lambda _: os.kill(os.getpid(), signal.SIGTERM))
"""


def test_sigterm_ends_the_process_whatever_it_waits_for(tmp_path: Path) -> None:
    environment = {
        "EYE_DATA_DIR": str(tmp_path),
        "EYE_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "EYE_POSTGRES_DSN": "postgresql://127.0.0.1:1/none",
        "EYE_GATEWAY_PORT": "0",
        "PATH": "/usr/bin:/bin",
    }

    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, timeout=60, capture_output=True, text=True, check=False
    )

    assert ended.returncode == 1
    assert "did not end in time" in ended.stderr
