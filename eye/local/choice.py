"""Choose the local Kafka and PostgreSQL: a process where the machine has the tools, else a container."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from eye.local.classpath import kafka_classpath
from eye.local.containers import KAFKA_IMAGE, POSTGRES_IMAGE, KafkaContainer, PostgresContainer
from eye.local.errors import LocalError, MissingTool
from eye.local.kafka import LocalKafka
from eye.local.postgres import LocalPostgres
from eye.local.tools import find_docker, find_java, find_postgres


class Server(Protocol):
    """A server that can be started, stopped, and made to fail. `Process` says what each promises."""

    @property
    def running(self) -> bool: ...
    @property
    def pid(self) -> int | None: ...
    def start(self) -> None: ...
    def stop(self, deadline: float = 30) -> None: ...
    def kill(self) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...


class Kafka(Server, Protocol):
    """A Kafka broker."""

    @property
    def bootstrap_servers(self) -> str: ...


class Postgres(Server, Protocol):
    """A PostgreSQL server with a database `eye`."""

    @property
    def dsn(self) -> str: ...


def choose_kafka(data_dir: Path, port: int | None = None) -> tuple[Kafka, str]:
    """Return a Kafka to start, and a sentence that says which and why. Fetches it when it is not here yet.

    Raises MissingTool, which says what to install, when there is neither Java nor Docker.
    """
    try:
        find_java()
        kafka_classpath()
    except LocalError as missing:
        _need_docker(missing)
        return KafkaContainer(data_dir, port), f"Kafka runs in a container, {KAFKA_IMAGE}. {missing}"
    return LocalKafka(data_dir, port), "Kafka runs in a Java process: this machine has Java 17 or newer."


def choose_postgres(data_dir: Path, port: int | None = None) -> tuple[Postgres, str]:
    """Return a PostgreSQL to start, and a sentence that says which and why.

    Raises MissingTool, which says what to install, when there is neither the wheel nor Docker.
    """
    try:
        find_postgres()
    except LocalError as missing:
        _need_docker(missing)
        return PostgresContainer(data_dir, port), f"PostgreSQL runs in a container, {POSTGRES_IMAGE}. {missing}"
    postgres = LocalPostgres(data_dir, port)
    where = postgres.place.remark(postgres.data_dir)
    return postgres, f"PostgreSQL runs as a process: its wheel is installed.{where}"


def _need_docker(missing: LocalError) -> None:
    try:
        find_docker()
    except MissingTool:
        raise missing from None
