"""Kafka and Postgres of the tests: processes of this machine, or containers."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from testcontainers.community.postgres import PostgresContainer as PostgresForAll
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import LogMessageWaitStrategy

from eye.local.choice import Kafka, Postgres
from eye.local.classpath import kafka_classpath
from eye.local.containers import KAFKA_IMAGE, POSTGRES_IMAGE, KafkaContainer, PostgresContainer, kafka_variables
from eye.local.errors import LocalError
from eye.local.kafka import LocalKafka, broker_settings
from eye.local.postgres import INITIALISE, SETTINGS, LocalPostgres
from eye.local.remembered_settings import free_port
from eye.local.tools import find_docker, find_java, find_postgres


@dataclass(frozen=True, slots=True)
class SharedKafka:
    """A broker that no test may break."""

    bootstrap_servers: str


@dataclass(frozen=True, slots=True)
class SharedPostgres:
    """A database server that no test may break."""

    dsn: str


MakeKafka = Callable[[Path, Mapping[str, str] | None], Kafka]
MakePostgres = Callable[[Path], Postgres]


@dataclass(frozen=True, slots=True)
class Infra:
    """One way to have servers: two that all tests share, and any number that a test may break."""

    shared_kafka: Callable[[Path], AbstractContextManager[SharedKafka]]
    shared_postgres: Callable[[Path], AbstractContextManager[SharedPostgres]]
    make_kafka: MakeKafka
    make_postgres: MakePostgres


def choose(infra: str) -> Infra:
    """Return the servers of `local` or `containers`; where there are none, end the run with a sentence."""
    try:
        if infra == "containers":
            find_docker()
            return CONTAINERS
        find_java()
        kafka_classpath()
        find_postgres()
    except LocalError as missing:
        other = "" if infra == "containers" else " Or run the tests on containers: `pytest --infra=containers`."
        pytest.exit(f"{missing}{other}", returncode=2)
    return LOCAL


@contextmanager
def _kafka_process(directory: Path) -> Iterator[SharedKafka]:
    broker = LocalKafka(directory)
    broker.start()
    yield SharedKafka(broker.bootstrap_servers)
    broker.stop()


@contextmanager
def _postgres_process(directory: Path) -> Iterator[SharedPostgres]:
    server = LocalPostgres(directory)
    server.start()
    yield SharedPostgres(server.dsn)
    server.stop()


LOCAL = Infra(
    _kafka_process,
    _postgres_process,
    lambda directory, extra: LocalKafka(directory, extra=extra),
    LocalPostgres,
)


@contextmanager
def _kafka_container(_: Path) -> Iterator[SharedKafka]:
    port = free_port()
    variables = kafka_variables(broker_settings("0.0.0.0", port, port + 1))
    started = LogMessageWaitStrategy("Kafka Server started").with_startup_timeout(300)
    # the same port inside, since the broker tells clients its own
    container = DockerContainer(KAFKA_IMAGE).with_envs(**variables).with_bind_ports(port, port)
    with container.waiting_for(started):
        yield SharedKafka(f"127.0.0.1:{port}")


@contextmanager
def _postgres_container(_: Path) -> Iterator[SharedPostgres]:
    settings = [word for name, value in SETTINGS.items() for word in ("-c", f"{name}={value}")]
    container = PostgresForAll(POSTGRES_IMAGE, username="eye", dbname="eye", driver=None)
    with container.with_env("POSTGRES_INITDB_ARGS", " ".join(INITIALISE)).with_command(settings):
        yield SharedPostgres(container.get_connection_url())


_made: list[KafkaContainer | PostgresContainer] = []


def _make_kafka(directory: Path, extra: Mapping[str, str] | None) -> KafkaContainer:
    made = KafkaContainer(directory, extra=extra)
    _made.append(made)
    return made


def _make_postgres(directory: Path) -> PostgresContainer:
    made = PostgresContainer(directory)
    _made.append(made)
    return made


def remove_containers() -> None:
    """Remove the containers that were made, and their volumes; a stopped one keeps its data otherwise."""
    for name in ((made.data_dir / "container").read_text() for made in _made):
        subprocess.run(["docker", "rm", "--force", "--volumes", name], capture_output=True, check=False)
        subprocess.run(["docker", "volume", "rm", name], capture_output=True, check=False)


CONTAINERS = Infra(_kafka_container, _postgres_container, _make_kafka, _make_postgres)
