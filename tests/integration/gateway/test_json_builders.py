"""A gateway that serves, and what its tests look at: records in Kafka, answers over HTTP."""

from __future__ import annotations

import asyncio
import io
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import ClientSession
from aiokafka import AIOKafkaConsumer, TopicPartition

from gateway.server import serve
from schemas.settings import Settings
from schemas.topics import topic_names
from tests.conftest import KEY

AUTHORIZED = {"Authorization": f"Bearer {KEY}"}


@asynccontextmanager
async def a_gateway(settings: Settings, *, until_ready: bool = True) -> AsyncIterator[ClientSession]:
    """Serve on a free port; gives a client with the key of application `shop`."""
    stop, address = asyncio.Event(), asyncio.get_running_loop().create_future()
    server = asyncio.create_task(serve(settings, ready=address.set_result, stop=stop))
    try:
        await asyncio.wait([server, address], return_when=asyncio.FIRST_COMPLETED)
        if server.done():
            server.result()
        async with ClientSession(address.result(), headers=AUTHORIZED) as client:
            if until_ready:
                await eventually(lambda: is_ready(client))
            yield client
    finally:
        stop.set()
        await server


def patient(settings: Settings) -> Settings:
    """Return a gateway that waits for Kafka longer than any may: for tests of what it does, not of how fast."""
    return settings.model_copy(update={"acknowledge_seconds": 90.0, "spool_after_seconds": 60.0})


async def is_ready(client: ClientSession) -> bool:
    """Ask /readyz."""
    async with client.get("/readyz") as answer:
        return answer.status == 200


async def eventually(condition: Callable[[], Awaitable[bool]], seconds: float = 60.0) -> None:
    """Wait until a condition holds; fails after a deadline."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - another process' state has no asyncio.Event
            await asyncio.sleep(0.02)


async def records_of(settings: Settings, count: int) -> list[Any]:
    """Return all records of `events.raw`; fails when they are not `count`."""
    records = await all_records(settings)
    assert len(records) == count
    return records


async def all_records(settings: Settings) -> list[Any]:
    """Return all records of `events.raw`."""
    topic = topic_names(settings).raw
    consumer = AIOKafkaConsumer(**settings.kafka_client(), auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    try:
        partitions = [TopicPartition(topic, number) for number in range(settings.partitions)]
        consumer.assign(partitions)
        count = sum((await consumer.end_offsets(partitions)).values())
        records: list[Any] = []
        async with asyncio.timeout(60):
            while len(records) < count:
                for found in (await consumer.getmany(timeout_ms=100)).values():
                    records += found
        return records
    finally:
        await consumer.stop()


async def post(client: ClientSession, body: Any, **headers: str) -> tuple[int, dict[str, Any]]:
    """POST /events/: bytes as they are, anything else as JSON. Returns status and answer."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = {"Content-Type": "application/json"} | {name.replace("_", "-"): value for name, value in headers.items()}
    async with client.post("/events/", data=io.BytesIO(data), headers=sent) as answer:
        return answer.status, await answer.json()


def an_event(**fields: Any) -> dict[str, Any]:
    """Return an event that keeps every rule, of a session of its own."""
    event = {
        "session_id": str(uuid.uuid4()),
        "category": "page interaction",
        "name": "pageview",
        "timestamp": "2021-01-01 09:15:27.243860",
        "data": {"host": "www.example.com", "path": "/"},
    }
    return event | fields
