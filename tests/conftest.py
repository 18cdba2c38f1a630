"""A real Kafka and a real Postgres for the whole run; topics, a group and a database for each test."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr

from eye.local import remembered_settings
from eye.local.environment import PROXIES
from eye.operations.topics import create_topics
from schemas.settings import Settings
from sinks.postgres.migrate import migrate
from tests.support.servers import Infra, SharedKafka, SharedPostgres, choose, remove_containers

KEY = "test-key"
TEMPLATE = "eye_template"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the caller say where Kafka and Postgres run."""
    parser.addoption(
        "--infra",
        choices=("local", "containers"),
        default="local",
        help="Kafka and Postgres as processes of this machine, or in containers, with the tests that drive containers.",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Have Ctrl-C mean something to every process that a test starts: a shell's background job ignores it.

    Where tests run side by side, each worker takes ports that the others leave alone. What the caller has set for
    other servers and for a proxy does not reach the tests.
    """
    for name in [name for name in os.environ if name.startswith("PG") or name.lower() in PROXIES]:
        del os.environ[name]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if worker := getattr(config, "workerinput", None):
        remembered_settings.PORTS = remembered_settings.PORTS[
            int(worker["workerid"].removeprefix("gw")) :: worker["workercount"]
        ]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is about the other infrastructure."""
    other = "processes" if config.getoption("--infra") == "containers" else "containers"
    left_out = [item for item in items if item.get_closest_marker(other)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture(scope="session")
def infra(pytestconfig: pytest.Config) -> Iterator[Infra]:
    """Infrastructure that Kafka and Postgres run on."""
    yield choose(pytestconfig.getoption("--infra", "local"))
    remove_containers()


@pytest.fixture(scope="session")
def kafka(infra: Infra, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedKafka]:
    """Lend a broker for all tests; those that break one make their own."""
    with infra.shared_kafka(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture(scope="session")
def postgres(infra: Infra, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedPostgres]:
    """Lend a database server for all tests, with a migrated template; those that break one make their own."""
    with infra.shared_postgres(tmp_path_factory.mktemp("postgres")) as server:
        with psycopg.connect(server.dsn, autocommit=True) as connection:
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(TEMPLATE)))
        asyncio.run(migrate(_database(server.dsn, TEMPLATE)))
        yield server


@contextmanager
def fresh_database(postgres: SharedPostgres) -> Iterator[str]:
    """Lend a migrated database that nobody else uses."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    create = sql.SQL("create database {} template {}").format(sql.Identifier(name), sql.Identifier(TEMPLATE))
    drop = sql.SQL("drop database {} with (force)").format(sql.Identifier(name))
    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        connection.execute(create)
        yield _database(postgres.dsn, name)
        connection.execute(drop)


def fresh_settings(kafka: SharedKafka, dsn: str, directory: Path) -> Settings:
    """Make a deployment that nobody else uses: topics, groups, and the key of application `shop`."""
    prefix = f"t{uuid.uuid4().hex[:8]}"
    made = Settings(
        kafka_bootstrap_servers=kafka.bootstrap_servers,
        postgres_dsn=SecretStr(dsn),
        topic_prefix=f"{prefix}.",
        group=f"{prefix}-",
        data_dir=directory / "eye",
        gateway_port=0,
        partitions=3,
    )
    write_key(made)
    asyncio.run(create_topics(made))
    return made


@pytest.fixture
def dsn(postgres: SharedPostgres) -> Iterator[str]:
    """Lend a fresh migrated database of the test's own."""
    with fresh_database(postgres) as made:
        yield made


@pytest.fixture
def settings(kafka: SharedKafka, dsn: str, tmp_path: Path) -> Settings:
    """Return a deployment of the test's own."""
    return fresh_settings(kafka, dsn, tmp_path)


@pytest.fixture(scope="module")
def shared_settings(
    kafka: SharedKafka, postgres: SharedPostgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Settings]:
    """Lend a deployment that the tests of one file share, each with events of its own."""
    with fresh_database(postgres) as dsn:
        yield fresh_settings(kafka, dsn, tmp_path_factory.mktemp("shared"))


@pytest.fixture
def empty(postgres: SharedPostgres) -> Iterator[str]:
    """Lend a database of the test's own without anything in it."""
    name = f"empty_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        yield _database(postgres.dsn, name)
        connection.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


def write_key(settings: Settings) -> None:
    """Give application `shop` the key `test-key`, to write and to read."""
    settings.applications_file.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    settings.applications_file.write_text(
        f'[[applications]]\nid = "shop"\nkeys = [{{ sha256 = "{digest}", scopes = ["write", "read"] }}]\n'
    )


def _database(dsn: str, name: str) -> str:
    return psycopg.conninfo.make_conninfo(dsn, dbname=name)
