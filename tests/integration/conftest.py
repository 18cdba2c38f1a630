"""What the tests of one real neighbour share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from eye.local.kafka import LocalKafka


@pytest.fixture(scope="session")
def brittle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKafka]:
    """A broker that tests may break."""
    broker = LocalKafka(tmp_path_factory.mktemp("brittle"))
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def broker(brittle: LocalKafka) -> LocalKafka:
    """The broker that may be broken, running."""
    brittle.start()
    return brittle
