"""The spool of a gateway that was killed or stopped: the next one drains it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import ClientSession

from eye.local.choice import Kafka
from schemas.settings import Settings
from tests.integration.gateway.outages.outage_sender import Sender, check, is_drained, is_unreachable, readiness
from tests.integration.gateway.test_json_builders import (
    AUTHORIZED,
    a_gateway,
    all_records,
    eventually,
)
from tests.support.pipeline import EyeProcess
from tests.support.stopwatch import Stopwatch


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
