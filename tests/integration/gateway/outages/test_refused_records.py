"""A topic that takes no record of an event's size: the event alone pays for it, its neighbours go on in order."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from typing import Any

import pytest
from aiohttp import ClientSession
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from eye.local.choice import Kafka
from eye.operations.topics import create_topics
from gateway.metrics import Metrics
from gateway.publish.publisher import Publisher
from gateway.spool.refused import FILE_NAME
from schemas.settings import Settings
from schemas.topics import topic_names
from tests.integration.gateway.outages.outage_sender import is_drained, readiness
from tests.integration.gateway.test_json_builders import (
    a_gateway,
    all_records,
    an_event,
    eventually,
    patient,
    post,
    records_of,
)

LIMIT = 10_000


async def limit_topic(settings: Settings, size: int) -> None:
    """Set max.message.bytes of the raw topic."""
    admin = AIOKafkaAdminClient(**settings.kafka_client())
    await admin.start()
    try:
        config = {"max.message.bytes": str(size)}
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic_names(settings).raw, config)])
    finally:
        await admin.close()


def small(number: int) -> dict[str, Any]:
    return an_event(session_id="one", number=number)


def large(number: int) -> dict[str, Any]:
    return an_event(session_id="one", number=number, data={"text": "x" * 2 * LIMIT})


def numbers(records: list[Any]) -> list[int]:
    return [json.loads(record.value)["number"] for record in records]


async def test_one_event_too_large_costs_itself_alone(settings: Settings) -> None:
    await limit_topic(settings, LIMIT)
    async with a_gateway(patient(settings)) as client:
        status, answer = await post(client, [small(1), large(2), small(3), small(4)])
        alone, refusal = await post(client, large(5))
        later, _ = await post(client, small(6))

    assert (status, [result["status"] for result in answer["results"]]) == (202, ["ok", "too_large", "ok", "ok"])
    assert answer["results"][1]["errors"][0]["code"] == "too_large"
    assert (alone, refusal["code"], later) == (413, "too_large", 202)
    assert numbers(await records_of(settings, 4)) == [1, 3, 4, 6]


async def test_small_events_whose_batch_is_too_large_are_taken(settings: Settings) -> None:
    async with a_gateway(patient(settings)) as client:
        await limit_topic(settings, LIMIT)  # after the gateway has learned another one
        status, answer = await post(client, [small(number) for number in range(300)])

    assert (status, answer["accepted"]) == (202, 300)
    assert numbers(await records_of(settings, 300)) == list(range(300))


async def test_batches_are_shaped_by_what_the_topic_takes(settings: Settings) -> None:
    await limit_topic(settings, LIMIT)
    publisher = Publisher(settings, Metrics())
    await publisher.start()

    async def is_learned() -> bool:
        return publisher._connection.max_batch_bytes == LIMIT

    await eventually(is_learned)
    assert publisher._connection.producer._message_accumulator._batch_size == LIMIT
    assert "is 10,000, and a record may have 69,632 bytes" in (publisher.limit_fault or "")
    await publisher.stop()


@pytest.fixture
def there(settings: Settings, broker: Kafka) -> Settings:
    """Return a deployment on a broker that may be broken, whose raw topic takes small events alone."""
    made = settings.model_copy(update={"kafka_bootstrap_servers": broker.bootstrap_servers})

    async def prepare() -> None:
        await create_topics(made)
        await limit_topic(made, LIMIT)

    asyncio.run(prepare())
    return made


async def test_from_the_spool_it_is_set_aside_and_the_rest_is_drained(there: Settings, broker: Kafka) -> None:
    broker.kill()
    async with a_gateway(there) as client:
        status, answer = await post(client, [small(1), large(2), small(3)])
        assert (status, answer["accepted"]) == (202, 3)
        await asyncio.to_thread(broker.start)
        await eventually(lambda: is_drained(client))
        status, found = await readiness(client)
        figure = await metric(client, "eye_gateway_spool_refused_records")

    assert (status, found["status"], found["spool"]["refused"], figure) == (200, "ready", 1, "1.0")
    assert "set aside" in found["checks"]["spool"]
    assert numbers(await all_records(there)) == [1, 3]
    with sqlite3.connect(there.spool_directory / FILE_NAME) as kept:
        assert kept.execute("select count(*), min(size) > ? from refused", (LIMIT,)).fetchone() == (1, 1)
    kept.close()


async def metric(client: ClientSession, name: str) -> str:
    async with client.get("/metrics") as answer:
        lines = (await answer.text()).splitlines()
    return next(line.split()[1] for line in lines if line.startswith(f"{name} "))
