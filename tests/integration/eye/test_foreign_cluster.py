"""A Kafka that is another one takes the address of ours: nothing of ours lands there, until somebody accepts it."""

from __future__ import annotations

import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from eye.local.kafka import LocalKafka
from eye.local.stack import environment
from eye.operations.topics import create_topics
from schemas.settings import Settings
from tests.conftest import fresh_settings
from tests.integration.eye.test_command import run_eye
from tests.integration.gateway.test_json_builders import all_records
from tests.support.pipeline import Pipeline, an_event, fetch_status, poll
from tests.support.servers import SharedKafka

pytestmark = [pytest.mark.processes, pytest.mark.timeout(600)]


class Swap:
    """Our broker, and one of another stack with topics of the same names that can take its port."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ours = LocalKafka(directory / "ours")
        self.ours.start()
        self.port = int(self.ours.bootstrap_servers.rpartition(":")[2])
        self.other = LocalKafka(directory / "other", self.port)
        self._registry = directory / "another-user"
        self._monkeypatch = monkeypatch

    def take_port(self, settings: Settings) -> None:
        """Kill our broker; the other one comes up in its place, and has the topics."""
        self.ours.kill()
        with self._monkeypatch.context() as of_another_user:
            of_another_user.setenv("XDG_STATE_HOME", str(self._registry))
            self.other.start()
        assert self.other.bootstrap_servers == self.ours.bootstrap_servers
        asyncio.run(create_topics(settings))

    def give_back(self) -> None:
        self.other.stop()
        self.ours.start()
        assert self.ours.bootstrap_servers == self.other.bootstrap_servers

    def stop(self) -> None:
        self.ours.stop()
        self.other.stop()


@pytest.fixture
def swap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Swap]:
    made = Swap(tmp_path, monkeypatch)
    yield made
    made.stop()


@pytest.fixture
def line(swap: Swap, dsn: str, tmp_path: Path) -> Iterator[Pipeline]:
    """Lend gateway, stream and sinks on our broker."""
    settings = fresh_settings(SharedKafka(swap.ours.bootstrap_servers), dsn, tmp_path)
    with Pipeline(settings) as pipeline:
        yield pipeline


def post_some(line: Pipeline, count: int = 20) -> list[str]:
    """Send events in one request; returns their ids when all of them were accepted."""
    events = [an_event() for _ in range(count)]
    status, answer = asyncio.run(line.post(json.dumps(events).encode()))
    assert (status, answer["accepted"]) == (202, count)
    return [event["event_id"] for event in events]


def stored(settings: Settings) -> list[str]:
    with psycopg.connect(settings.dsn) as connection:
        return sorted(str(row[0]) for row in connection.execute("select event_id from eye.events"))


def text(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return str(response.read().decode())
    except urllib.error.HTTPError as error:
        return error.read().decode()


def says_foreign(url: str) -> bool:
    said = text(f"{url}/readyz")
    return "Kafka is another cluster" in said and "eye_kafka_foreign_cluster 1.0" in text(f"{url}/metrics")


def findings(settings: Settings, **more: str) -> dict[str, Any]:
    ran = run_eye("doctor", "--json", env=environment(settings) | more)
    return {found["what"]: found for found in json.loads(ran.stdout)["findings"]}


def test_no_event_of_ours_lands_in_a_cluster_that_took_its_port(swap: Swap, line: Pipeline) -> None:
    sent = post_some(line)
    poll(lambda: stored(line.settings) == sorted(sent), 60, "the first events are stored")

    swap.take_port(line.settings)
    for _ in range(10):
        sent += post_some(line)
    for process in line.processes:
        poll(partial(says_foreign, process.url), 90, f"{process.log.name} says why")
    assert fetch_status(f"{line.gateway.url}/readyz") == 200  # the spool takes events
    assert {fetch_status(f"{worker.url}/readyz") for worker in (*line.streams, *line.sinks)} == {503}
    found = findings(line.settings, EYE_GATEWAY_URLS=line.gateway.url)
    assert not found["Kafka's cluster"]["ok"]
    assert "eye topics accept-cluster" in found["Kafka's cluster"]["mend"]
    assert "another cluster" in found[f"gateway {line.gateway.url}"]["seen"]
    assert asyncio.run(all_records(line.settings)) == []
    ledger = run_eye("ledger", env=environment(line.settings))
    assert "Kafka is another cluster" in ledger.stdout
    refused = run_eye("replay", "--to", "sink", "--all", "--yes", env=environment(line.settings))
    assert (refused.returncode, "Kafka is another cluster" in refused.stderr) == (1, True)
    refused = run_eye("topics", "create", env=environment(line.settings))
    assert (refused.returncode, "Kafka is another cluster" in refused.stderr) == (1, True)

    swap.give_back()
    sent += post_some(line)

    poll(lambda: stored(line.settings) == sorted(sent), 120, "all events are stored, each once")
    assert all(process.running for process in line.processes)
    poll(lambda: all(process.is_ready() for process in line.processes), 60, "all are ready")


def test_an_accepted_cluster_gets_what_waited_for_it(swap: Swap, line: Pipeline) -> None:
    sent = post_some(line)
    poll(lambda: stored(line.settings) == sorted(sent), 60, "the first events are stored")
    swap.take_port(line.settings)
    sent += post_some(line)
    poll(lambda: says_foreign(line.gateway.url), 60, "the gateway says why")

    unasked = run_eye("topics", "accept-cluster", env=environment(line.settings))
    accepted = run_eye("topics", "accept-cluster", "--yes", "--json", env=environment(line.settings))

    assert unasked.returncode == 1
    assert accepted.returncode == 0, accepted.stderr
    told = json.loads(accepted.stdout)
    assert (told["accepted"], told["positions_forgotten"]) == (True, 9)
    poll(lambda: stored(line.settings) == sorted(sent), 120, "the waiting events are stored, each once")
    poll(lambda: all(process.is_ready() for process in line.processes), 60, "all are ready")
    again = run_eye("topics", "accept-cluster", "--yes", env=environment(line.settings))
    assert "nothing to accept" in again.stdout


def test_migrate_and_topics_create_write_the_cluster_down(settings: Settings) -> None:
    with psycopg.connect(settings.dsn, autocommit=True) as connection:
        for command in (["migrate"], ["topics", "create"]):
            connection.execute("delete from eye.kafka_clusters")
            assert run_eye(*command, env=environment(settings)).returncode == 0
            rows = connection.execute("select topic_prefix, formerly from eye.kafka_clusters").fetchall()
            assert rows == [(settings.topic_prefix, [])]

    assert findings(settings)["Kafka's cluster"]["seen"].endswith(", as remembered")
    wrong = findings(settings, EYE_KAFKA_CLUSTER_ID="another")["Kafka's cluster"]
    assert wrong["seen"].endswith("but EYE_KAFKA_CLUSTER_ID remembers another")
