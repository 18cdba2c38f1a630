"""Deployments and clients of the gateway."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from aiohttp import ClientSession

from eye.local.choice import Kafka
from eye.operations.topics import create_topics
from schemas.settings import Settings
from tests.integration.gateway.raw_http import HEAD_SECONDS, IDLE_SECONDS, TRANSFER_SECONDS, a_gateway_process
from tests.integration.gateway.test_json_builders import a_gateway
from tests.support.pipeline import EyeProcess


@pytest.fixture
def there(settings: Settings, broker: Kafka) -> Settings:
    """Return a deployment on a broker that may be broken, with a spool of its own."""
    made = settings.model_copy(update={"kafka_bootstrap_servers": broker.bootstrap_servers})
    asyncio.run(create_topics(made))
    return made


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[ClientSession]:
    """Lend a client of a gateway that needn't have Kafka."""
    async with a_gateway(settings, until_ready=False) as made:
        yield made


@pytest.fixture(scope="module")
def impatient(shared_settings: Settings) -> Iterator[EyeProcess]:
    """Lend a gateway with short time limits, that logs all it can."""
    limits = {"head_seconds": HEAD_SECONDS, "idle_seconds": IDLE_SECONDS, "transfer_seconds": TRANSFER_SECONDS}
    with a_gateway_process(shared_settings, 0, **limits, log_level="DEBUG") as process:
        yield process
