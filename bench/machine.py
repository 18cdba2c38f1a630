"""Test bed of all measurements: its own Kafka and Postgres, and processes whose CPU use is read."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from eye.local.kafka import LocalKafka
from eye.local.postgres import LocalPostgres
from eye.local.stack import environment
from eye.operations.topics import create_topics
from schemas.settings import Settings
from sinks.postgres.migrate import migrate

Figure = dict[str, float]

T = TypeVar("T")

CALM = 0.05
"""The share of the cores that the host may take away while something is measured."""

_TICKS = os.sysconf("SC_CLK_TCK")
_STEAL = 7


class Usage(NamedTuple):
    """Resources a process has used so far: CPU in seconds, peak memory in MiB."""

    cpu: float
    peak_rss_mib: float


def usage(pid: int) -> Usage:
    """Read what a running process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    return Usage((int(fields[11]) + int(fields[12])) / _TICKS, peak / 1024)


class Machine:
    """A Kafka and a Postgres in a temporary directory.

    `tries`: how often something is measured at most while the host takes cores away.
    """

    def __init__(self, directory: Path, kafka: LocalKafka, postgres: LocalPostgres, tries: int) -> None:
        self._tries = tries
        self._directory = directory
        self._kafka = kafka
        self._postgres = postgres

    def calmly(self, measure: Callable[[], T]) -> T:
        """Measure, and measure again while the host takes more than CALM away; returns what was disturbed least."""
        found: list[tuple[float, T]] = []
        while not found or (found[-1][0] > CALM and len(found) < self._tries):
            before = _ticks()
            figures = measure()
            taken = [after - earlier for after, earlier in zip(_ticks(), before, strict=True)]
            found.append((taken[_STEAL] / sum(taken), figures))
            print(f"{found[-1][0]:.0%}", end=" ", flush=True)
        return min(found, key=lambda each: each[0])[1]

    async def settings(self, **changes: object) -> Settings:
        """Return settings with topics and a database of their own, both empty."""
        name = f"b{uuid.uuid4().hex[:8]}"
        with psycopg.connect(self._postgres.dsn, autocommit=True) as connection:
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        settings = Settings.model_validate(
            {
                "kafka_bootstrap_servers": self._kafka.bootstrap_servers,
                "postgres_dsn": make_conninfo(self._postgres.dsn, dbname=name),
                "topic_prefix": f"{name}.",
                "group": f"{name}-",
                "data_dir": self._directory / name,
                **changes,
            }
        )
        settings.data_dir.mkdir(parents=True)
        await create_topics(settings)
        await migrate(settings.dsn)
        return settings


def _ticks() -> list[int]:
    """Return what all cores together have done so far: in user, nice, system, idle, iowait, irq, softirq, steal."""
    return [int(ticks) for ticks in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]


@contextmanager
def machine(tries: int = 1) -> Iterator[Machine]:
    """Start Kafka and Postgres, and stop them at the end."""
    with tempfile.TemporaryDirectory(prefix="eye-bench-") as path:
        directory = Path(path)
        kafka, postgres = LocalKafka(directory / "kafka", heap="1g"), LocalPostgres(directory / "postgres")
        try:
            kafka.start()
            postgres.start()
            yield Machine(directory, kafka, postgres, tries)
        finally:
            postgres.stop()
            kafka.stop()


def measured(module: str, settings: Settings, *arguments: object, seconds: float = 600) -> Figure:
    """Run a module that measures itself; it prints its figures as JSON in its last line."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    variables = os.environ | environment(settings)
    done = subprocess.run(command, env=variables, stdout=subprocess.PIPE, text=True, check=True, timeout=seconds)
    figure: Figure = json.loads(done.stdout.strip().splitlines()[-1])
    return figure


@contextmanager
def running(settings: Settings, *commands: Sequence[str]) -> Iterator[list[int]]:
    """Run a process of each command, and yield their pids at once."""
    variables = os.environ | environment(settings)
    children = [subprocess.Popen(command, env=variables, stderr=subprocess.DEVNULL) for command in commands]
    try:
        yield [child.pid for child in children]
    finally:
        for child in children:
            child.send_signal(signal.SIGTERM)
        for child in children:
            child.wait(20)


def eye(stage: str) -> list[str]:
    """Return the command of a stage: gateway, stream or sinks."""
    return [sys.executable, "-m", "eye", stage]
