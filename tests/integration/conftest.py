"""Fixtures of the tests with one real neighbour."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from eye.local.choice import Kafka
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
