"""A real Kafka and a real Postgres for the whole run; topics, a group and a database for each test."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr

from eye.local.kafka import LocalKafka
from eye.local.postgres import LocalPostgres
from eye.topics import create_topics
from schemas.settings import Settings
from sinks.migrate import migrate

KEY = "test-key"
TEMPLATE = "eye_template"


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKafka]:
    """A broker for all tests; those that break one start their own."""
    broker = LocalKafka(tmp_path_factory.mktemp("kafka"))
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalPostgres]:
    """A database server for all tests, with a migrated template; those that break one start their own."""
    server = LocalPostgres(tmp_path_factory.mktemp("postgres"))
    server.start()
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(TEMPLATE)))
    asyncio.run(migrate(_database(server.dsn, TEMPLATE)))
    yield server
    server.stop()


@contextmanager
def fresh_database(postgres: LocalPostgres) -> Iterator[str]:
    """Lend a migrated database that nobody else uses."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    create = sql.SQL("create database {} template {}").format(sql.Identifier(name), sql.Identifier(TEMPLATE))
    drop = sql.SQL("drop database {} with (force)").format(sql.Identifier(name))
    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        connection.execute(create)
        yield _database(postgres.dsn, name)
        connection.execute(drop)


def fresh_settings(kafka: LocalKafka, dsn: str, directory: Path) -> Settings:
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
def dsn(postgres: LocalPostgres) -> Iterator[str]:
    """A fresh migrated database of the test's own."""
    with fresh_database(postgres) as made:
        yield made


@pytest.fixture
def settings(kafka: LocalKafka, dsn: str, tmp_path: Path) -> Settings:
    """A deployment of the test's own."""
    return fresh_settings(kafka, dsn, tmp_path)


def write_key(settings: Settings) -> None:
    """Give application `shop` the key `test-key`, to write and to read."""
    settings.applications_file.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    settings.applications_file.write_text(
        f'[[applications]]\nid = "shop"\nkeys = [{{ sha256 = "{digest}", scopes = ["write", "read"] }}]\n'
    )


def _database(dsn: str, name: str) -> str:
    return psycopg.conninfo.make_conninfo(dsn, dbname=name)
