"""A deployment on a broker that may be broken."""

from __future__ import annotations

import asyncio

import pytest

from eye.local.choice import Kafka
from eye.operations.topics import create_topics
from schemas.settings import Settings


@pytest.fixture
def there(settings: Settings, broker: Kafka) -> Settings:
    """Return a deployment on a broker that may be broken, with a spool of its own."""
    made = settings.model_copy(update={"kafka_bootstrap_servers": broker.bootstrap_servers})
    asyncio.run(create_topics(made))
    return made
