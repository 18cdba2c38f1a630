"""A stack of this machine whose Kafka comes back elsewhere, or anew: its processes follow."""

from __future__ import annotations

import json
import shutil
import socket
import urllib.request
from pathlib import Path

import psycopg
import pytest

from eye.local.errors import LocalError
from eye.local.remembered_settings import free_port, remembered_port
from eye.local.stack import Stack
from schemas.settings import Settings
from tests.support.pipeline import an_event, poll
from tests.support.servers import SharedKafka

pytestmark = [pytest.mark.processes, pytest.mark.timeout(400)]


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Return the settings of a stack of its own, in a registry of its own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return Settings(data_dir=tmp_path / "eye", gateway_port=free_port())


def send(stack: Stack) -> str:
    event = an_event()
    headers = {"Authorization": f"Bearer {stack.key}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{stack.url}/events/", json.dumps(event).encode(), headers)
    with urllib.request.urlopen(request, timeout=10) as response:
        assert response.status == 202
    return str(event["event_id"])


def stored(stack: Stack) -> set[str]:
    with psycopg.connect(stack.settings.dsn) as connection:
        return {str(row[0]) for row in connection.execute("select event_id from eye.events")}


def test_processes_follow_a_kafka_that_comes_back_on_another_port(settings: Settings) -> None:
    said: list[str] = []
    with Stack(settings, said.append) as stack:
        sent = {send(stack)}
        old = int(str(stack.settings.kafka_bootstrap_servers).rpartition(":")[2])
        stack._servers["Kafka"].kill()
        with socket.create_server(("127.0.0.1", old)):
            stack.restart_ended()

            assert stack.settings.kafka_bootstrap_servers != f"127.0.0.1:{old}"
            assert said[-1].startswith("A server came back on another port: Kafka is at")
            for component in stack.components:
                component.wait_ready()
            sent.add(send(stack))
            poll(lambda: stored(stack) == sent, 60, "all events are stored")


def test_a_kafka_that_was_made_anew_is_read_from_its_beginning(settings: Settings) -> None:
    said: list[str] = []
    with Stack(settings, said.append) as stack:
        sent = {send(stack)}
        poll(lambda: stored(stack) == sent, 60, "the event is stored")
    shutil.rmtree(settings.data_dir / "kafka")

    with Stack(settings, said.append) as stack:
        assert any("Kafka is another cluster now" in sentence for sentence in said)
        sent.add(send(stack))
        poll(lambda: stored(stack) == sent, 60, "both events are stored")


def test_another_kafka_has_to_be_named_before_a_stack_goes_on_with_it(settings: Settings, kafka: SharedKafka) -> None:
    there = settings.model_copy(update={"kafka_bootstrap_servers": kafka.bootstrap_servers, "topic_prefix": "named."})
    with Stack(there, lambda _: None) as stack, psycopg.connect(stack.settings.dsn, autocommit=True) as connection:
        [found] = connection.execute(
            "update eye.kafka_clusters set cluster_id = 'before' returning formerly"
        ).fetchall()
    assert found == ([],)

    with (
        pytest.raises(LocalError, match=r"but Postgres remembers before.*EYE_KAFKA_CLUSTER_ID=") as refused,
        Stack(there, lambda _: None),
    ):
        pass
    cluster_id = str(refused.value).rpartition("=")[2].rstrip(".")
    with Stack(there.model_copy(update={"kafka_cluster_id": cluster_id}), lambda _: None) as stack:
        sent = {send(stack)}
        poll(lambda: stored(stack) >= sent, 60, "the event is stored")


def test_a_port_that_another_stacks_data_remembers_is_not_given_away(settings: Settings, tmp_path: Path) -> None:
    first, second = tmp_path / "a" / "port", tmp_path / "b" / "port"
    for file in (first, second):
        file.parent.mkdir()
    port = remembered_port(first, None)

    assert remembered_port(second, port) != port
    assert free_port(port) != port
    assert remembered_port(first, None) == port
    first.unlink()
    assert remembered_port(second, port) == port


def test_a_registry_that_cannot_be_written_keeps_no_stack_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))

    assert remembered_port(tmp_path / "port", None) == remembered_port(tmp_path / "port", None)
