"""Place of a drill: a Kafka and a Postgres to break, a pipeline to kill, and the traffic through it."""

from __future__ import annotations

import asyncio
import random
import subprocess
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import psycopg
from psycopg import sql

from eye.local.errors import StartError
from eye.local.kafka import LocalKafka
from eye.local.postgres import LocalPostgres
from eye.local.process import wait_until
from schemas.settings import Settings
from sinks.postgres.migrate import migrate
from tests.conftest import fresh_settings
from tests.faults.harness.proxied_kafka import ProxiedKafka
from tests.faults.harness.traffic import Traffic
from tests.support.pipeline import EyeProcess, Pipeline
from tests.support.proxy import Proxy
from tests.support.servers import SharedKafka

_START_SECONDS = 300.0
_BACK_SECONDS = 60.0


class Ground:
    """A Kafka and a Postgres that drills may break; a context manager. Each drill gets topics and a database."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.kafka = ProxiedKafka(directory / "kafka")
        self.network = Proxy(self.kafka.proxy_port, self.kafka.inner_port)
        self.postgres = LocalPostgres(directory / "postgres")

    def __enter__(self) -> Self:
        self.network.__enter__()
        try:
            self.mend()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.network.__exit__(None, None, None)
        self.kafka.stop()
        self.postgres.stop()

    def mend(self) -> None:
        """Have both servers run, and the network between, whatever was done to them."""
        self.network.heal()
        for server in (self.kafka, self.postgres):
            server.resume()
            start(server)

    def deployment(self, name: str, **changes: Any) -> Settings:
        """Make a deployment of its own on the two servers."""
        database = f"drill_{uuid.uuid4().hex[:12]}"
        with psycopg.connect(self.postgres.dsn, autocommit=True) as connection:
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(database)))
        dsn = psycopg.conninfo.make_conninfo(self.postgres.dsn, dbname=database)
        asyncio.run(migrate(dsn))
        made = fresh_settings(
            SharedKafka(self.kafka.bootstrap_servers), dsn, self.directory / f"{name}-{database[-4:]}"
        )
        return made.model_copy(update=changes)

    def through_proxy(self, settings: Settings) -> Settings:
        """Return the settings of processes that reach Kafka through the proxy alone."""
        return settings.model_copy(update={"kafka_bootstrap_servers": f"127.0.0.1:{self.kafka.proxy_port}"})


def start(server: LocalKafka | LocalPostgres) -> None:
    """Start a server, again where a busy machine took too long. Raises StartError when it never starts."""
    end = time.monotonic() + _START_SECONDS
    while True:
        try:
            return server.start()
        except StartError:
            if time.monotonic() > end:
                raise


@contextmanager
def small_disk(directory: Path, mib: int | None) -> Iterator[None]:
    """Put a directory on a disk of its own of so many MiB, in memory; without a size leave it where it is."""
    if mib is None:
        yield
        return
    directory.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", str(directory)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(directory)], check=True)


@dataclass
class Field:
    """Everything a drill acts on. `chance` is its only source of randomness, `quick` whether it is to be short."""

    ground: Ground
    pipeline: Pipeline
    traffic: Traffic
    chance: random.Random
    quick: bool
    wrong: list[str] = field(default_factory=list)

    @property
    def kafka(self) -> LocalKafka:
        """The broker."""
        return self.ground.kafka

    @property
    def network(self) -> Proxy:
        """The proxy between our processes and the broker, in a drill through it."""
        return self.ground.network

    @property
    def postgres(self) -> LocalPostgres:
        """The database server."""
        return self.ground.postgres

    def moment(self, shortest: float = 0.3, longest: float = 3.0) -> None:
        """Let a random while pass; the moment is what is drawn."""
        time.sleep(self.chance.uniform(shortest, longest))

    def times(self, full: int, quick: int = 2) -> Iterator[int]:
        """Count, with a random while before each number."""
        for number in range(quick if self.quick else full):
            self.moment()
            yield number

    def stay(self, full: float, quick: float) -> None:
        """Leave things as they are for so many seconds."""
        time.sleep(quick if self.quick else full)

    def back(self, processes: Sequence[EyeProcess]) -> None:
        """Wait until processes that were started work again; now and then do not, so that they break as they start."""
        if self.chance.random() < 0.8:
            wait_until(lambda: all(process.is_ready() for process in processes), _BACK_SECONDS)

    def demand(self, holds: bool, sentence: str) -> None:
        """Note what is wrong unless it holds."""
        if not holds:
            self.wrong.append(sentence)

    def workers(self, stage: str) -> list[EyeProcess]:
        """Return the workers of a stage, as the list that the pipeline keeps."""
        return {"stream": self.pipeline.streams, "sinks": self.pipeline.sinks}[stage]
