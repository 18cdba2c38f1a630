"""A background task of any Kafka client of stream or sinks that ends: events go on within 20 s."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from eye.local.process import wait_until
from schemas.settings import Settings
from tests.support import task_killer
from tests.support.pipeline import EyeProcess, Pipeline, an_event, poll

RECOVERY_SECONDS = 20.0

OF_CONSUMER = ("coordinator", "fetcher", "heartbeat", "metadata synchronizer")
OF_PRODUCER = ("sender", "metadata synchronizer")

KILLED = [
    *(("stream", "consumer", task) for task in OF_CONSUMER),
    *(("stream", "producer", task) for task in OF_PRODUCER),
    *(("stream", "reader", task) for task in ("coordinator", "fetcher", "metadata synchronizer")),
    *(("sinks", "consumer", task) for task in OF_CONSUMER),
]


@pytest.fixture(scope="module")
def order(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the file that names the task to kill."""
    return tmp_path_factory.mktemp("killer") / "task.json"


@pytest.fixture(scope="module")
def line(shared_settings: Settings, order: Path) -> Iterator[Pipeline]:
    """Lend gateway, stream and sinks whose clients' tasks can be killed."""
    with Pipeline(shared_settings, program=(task_killer.__file__, str(order))) as pipeline:
        yield pipeline


def kill(process: EyeProcess, client: str, task: str, order: Path) -> None:
    """Kill a task of a client; waits until there is such a client, and one that runs."""
    order.write_text(json.dumps({"client": client, "task": task}))

    def is_killed() -> bool:
        if process.pid is not None:
            os.kill(process.pid, signal.SIGUSR1)
        return wait_until(lambda: not order.exists(), 0.5)

    assert wait_until(is_killed, 30), f"there is no {task} of a {client} to kill"


def send(line: Pipeline, count: int = 12) -> list[str]:
    """Send events of several sessions; returns their ids when all of them were accepted."""
    events = [an_event(session_id=f"s-{number}") for number in range(count)]
    status, answer = asyncio.run(line.post(json.dumps(events).encode()))
    assert (status, answer["accepted"]) == (202, count)
    return [event["event_id"] for event in events]


def restarts(process: EyeProcess) -> int:
    """Return how often the worker has begun anew, by its log, for a task that had ended."""
    return len(re.findall("Kafka's consumer gave up: its .* has ended; beginning anew", process.log.read_text()))


def are_stored(settings: Settings, ids: list[str]) -> bool:
    with psycopg.connect(settings.dsn) as connection:
        query = "select count(*) from eye.events where event_id = any(%s::uuid[])"
        return connection.execute(query, (ids,)).fetchone() == (len(ids),)


@pytest.mark.timeout(180)
@pytest.mark.parametrize(("stage", "client", "task"), KILLED, ids=["-".join(one) for one in KILLED])
def test_a_task_that_ends_is_recovered_from(line: Pipeline, order: Path, stage: str, client: str, task: str) -> None:
    [process] = {"stream": line.streams, "sinks": line.sinks}[stage]
    poll(process.is_ready, 60, "the worker is ready")
    sent = send(line)
    poll(lambda: are_stored(line.settings, sent), 60, "the events before are stored")

    before = restarts(process)
    kill(process, client, task, order)
    sent = send(line)

    poll(lambda: are_stored(line.settings, sent), RECOVERY_SECONDS, "the events after it are stored")
    if client == "consumer":
        poll(lambda: restarts(process) > before, RECOVERY_SECONDS, "the worker begins anew")
    poll(process.is_ready, RECOVERY_SECONDS, "the worker is ready again")
