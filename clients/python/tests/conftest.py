"""A running pipeline, and the way to its gateway."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.conftest import infra, kafka, postgres
from tests.support.door import Door
from tests.support.pipeline import Pipeline, running_pipeline
from tests.support.servers import SharedKafka, SharedPostgres

from clients.python.tests.sending import KEY, SLOW_KEY

APPLICATIONS = """
[[applications]]
id = "shop"
keys = [{{ sha256 = "{key}", scopes = ["write"] }}]

[[applications]]
id = "slow"
rate = 400
burst = 200
keys = [{{ sha256 = "{slow_key}", scopes = ["write"] }}]
"""

__all__ = ["infra", "kafka", "postgres"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the caller say how long the long tests are."""
    parser.addoption("--kills", type=int, default=30, help="How many processes are killed in test_kills.py.")
    parser.addoption("--away-seconds", type=float, default=2, help="How long the gateway is away in test_gateway.py.")


@pytest.fixture(scope="session")
def the_eye(
    kafka: SharedKafka, postgres: SharedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pipeline]:
    """Run gateway, stream and sinks; each test looks at its own events."""
    digests = {
        name: hashlib.sha256(key.encode()).hexdigest() for name, key in {"key": KEY, "slow_key": SLOW_KEY}.items()
    }
    applications = APPLICATIONS.format(**digests)
    with running_pipeline(kafka, postgres, tmp_path_factory.mktemp("the-eye"), applications) as running:
        yield running


@pytest.fixture
async def door(the_eye: Pipeline) -> AsyncIterator[Door]:
    """Open the way to the gateway."""
    async with Door(the_eye.gateway.url) as opened:
        yield opened


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """Return a path for a queue on disk."""
    return tmp_path / "queue"
