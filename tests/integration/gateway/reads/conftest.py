"""A client that reads."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import ClientSession

from schemas.settings import Settings
from tests.integration.gateway.test_json_builders import a_gateway


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[ClientSession]:
    """Lend a client of a gateway that needn't have Kafka."""
    async with a_gateway(settings, until_ready=False) as made:
        yield made
