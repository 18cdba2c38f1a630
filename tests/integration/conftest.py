"""Fixtures of the tests with one real neighbour."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from eye.local.choice import Kafka
from eye.local.remembered_settings import free_port
from eye.operations.topics import create_topics
from schemas.settings import Settings
from tests.support.proxy import Proxy
from tests.support.servers import Infra


@pytest.fixture(scope="module")
def brittle(infra: Infra, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """Lend a broker that tests may break; one for each file, since with many partitions it is long in coming back."""
    broker = infra.make_kafka(tmp_path_factory.mktemp("brittle"), None)
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def broker(brittle: Kafka) -> Kafka:
    """Return the broker that may be broken, running."""
    brittle.start()
    return brittle


@pytest.fixture
def proxied(infra: Infra, settings: Settings, tmp_path: Path) -> Iterator[tuple[Proxy, Settings]]:
    """Lend a deployment whose clients reach their broker through a proxy alone."""
    port = free_port()
    broker: Kafka = infra.make_kafka(tmp_path / "kafka", {"advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}"})
    broker.start()
    with Proxy(port, int(broker.bootstrap_servers.rpartition(":")[2])) as proxy:
        made = settings.model_copy(update={"kafka_bootstrap_servers": f"127.0.0.1:{port}"})
        asyncio.run(create_topics(made))
        yield proxy, made
    broker.stop()
