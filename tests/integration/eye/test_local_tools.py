"""The local stack on machines that lack tools, and its choice of ports."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from eye.local.choice import choose_kafka, choose_postgres
from eye.local.classpath import kafka_classpath
from eye.local.errors import MissingTool
from eye.local.kafka import LocalKafka
from eye.local.postgres import LocalPostgres
from eye.local.remembered_settings import free_port

ROOT = Path(__file__).parents[3]

pytestmark = pytest.mark.processes


def test_without_java_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use_path(monkeypatch, tmp_path)

    with pytest.raises(MissingTool) as missing:
        LocalKafka(tmp_path / "data").start()

    assert str(missing.value) == (
        "Kafka needs a Java runtime 17 or newer: install it with `apt-get install default-jre-headless`, "
        "or set EYE_KAFKA_BOOTSTRAP_SERVERS to a broker you have."
    )


def test_an_old_java_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    use_path(monkeypatch, tmp_path, java="""#!/bin/sh\necho 'openjdk version "11.0.2" 2019-01-15' >&2\n""")

    with pytest.raises(MissingTool, match=r"Java runtime 17 or newer, and .*/java is 11"):
        LocalKafka(tmp_path / "data").start()


def test_maven_is_asked_for_only_while_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    fetched = kafka_classpath()
    use_path(monkeypatch, tmp_path)

    assert kafka_classpath() == fetched
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(MissingTool, match="apt-get install maven"):
        kafka_classpath()


def test_a_process_is_chosen_before_a_container(tmp_path: Path) -> None:
    kafka, why_kafka = choose_kafka(tmp_path)
    postgres, why_postgres = choose_postgres(tmp_path)

    assert (type(kafka), type(postgres)) == (LocalKafka, LocalPostgres)
    assert why_kafka == "Kafka runs in a Java process: this machine has Java 17 or newer."
    assert why_postgres == "PostgreSQL runs as a process: its wheel is installed."


def test_with_neither_java_nor_docker_the_choice_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use_path(monkeypatch, tmp_path)

    with pytest.raises(MissingTool, match="Java runtime 17 or newer"):
        choose_kafka(tmp_path)


def test_a_port_that_is_taken_is_left_alone() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]

        port = free_port(taken)

    assert port != taken
    assert free_port(port) == port


def test_no_port_is_promised_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eye.local.remembered_settings.PORTS", range(31_000, 31_010))

    ports = [free_port() for _ in range(5)]

    assert len(set(ports)) == 5


def use_path(monkeypatch: pytest.MonkeyPatch, folder: Path, **programs: str) -> None:
    """Let PATH have these shell scripts alone."""
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setattr("eye.local.tools._RUNTIMES", folder)
    monkeypatch.setenv("PATH", str(folder))
    for name, text in programs.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
