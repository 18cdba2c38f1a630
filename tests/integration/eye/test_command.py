"""The command as people and programs run it: help, exit codes, tables and JSON."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import typer.main
from typer.testing import CliRunner

from eye.cli.app import app, main
from eye.local.stack import environment
from schemas.settings import Settings
from schemas.topics import topic_names


@dataclass(frozen=True)
class Ran:
    """Exit code and output of a command."""

    returncode: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """Standard output, decoded as JSON."""
        assert self.stdout, self.stderr
        return json.loads(self.stdout)


def run_eye(*arguments: str, env: Mapping[str, str]) -> Ran:
    """Run `eye` without a terminal and with no settings but these; in this process, since a new one takes seconds."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("EYE_")}
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.object(sys, "argv", ["eye", *arguments]),
        mock.patch.dict(os.environ, others | dict(env), clear=True),
        logging_as_before(),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as end:
            return Ran(int(end.code or 0), out.getvalue(), err.getvalue())
        except Exception:
            return Ran(1, out.getvalue(), err.getvalue() + traceback.format_exc())
    raise AssertionError("a command ends with an exit code")


@contextmanager
def logging_as_before() -> Iterator[None]:
    """Let the command have its own logging."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in list(root.manager.loggerDict)}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name in list(root.manager.loggerDict):
        logging.getLogger(name).setLevel(levels.get(name, logging.NOTSET))


def test_the_module_is_the_command(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "eye", "schemas", "--json"],
        env=os.environ | {"EYE_DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )

    assert (ran.returncode, ran.stderr) == (0, "")
    assert json.loads(ran.stdout)


@pytest.fixture
def nothing(tmp_path: Path) -> dict[str, str]:
    """Return the variables of a machine where nothing is set up."""
    return {"EYE_DATA_DIR": str(tmp_path / "eye")}


def commands(command: Any, *path: str) -> Iterator[tuple[str, ...]]:
    """Yield every command and every group of commands, by what one types after `eye`."""
    yield path
    for name, child in getattr(command, "commands", {}).items():
        yield from commands(child, *path, name)


ALL = list(commands(typer.main.get_command(app)))
LEAVES = [path for path in ALL if not any(other[:-1] == path for other in ALL if other)]


@pytest.mark.parametrize("path", ALL, ids=lambda path: " ".join(path) or "eye")
def test_every_command_explains_itself(path: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(app, [*path, "--help"])

    assert shown.exit_code == 0
    assert "Usage:" in shown.output


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_every_command_has_an_example_that_names_it(path: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "200"})

    assert "Example:" in shown.output
    assert f"eye {' '.join(path)}" in shown.output.partition("Example:")[2]


@pytest.mark.parametrize(
    "arguments",
    [
        ["nope"],
        ["schemas", "--nope"],
        ["keys", "revoke"],
        ["send", "/no/such/file"],
        ["keys", "add", "a", "--scopes", "x"],
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_2(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, arguments).exit_code == 2


@pytest.mark.parametrize("arguments", [[], ["keys"], ["topics"]])
def test_without_a_command_the_help_is_shown(arguments: list[str]) -> None:
    assert "Usage:" in CliRunner().invoke(app, arguments).output


def test_a_bad_value_of_a_setting_exits_2_and_names_the_variable(nothing: dict[str, str]) -> None:
    ran = run_eye("schemas", env=nothing | {"EYE_PARTITIONS": "many", "EYE_GATEWAY_PORT": "99999"})

    assert ran.returncode == 2
    assert "EYE_PARTITIONS: " in ran.stderr
    assert "EYE_GATEWAY_PORT: " in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["migrate"], "EYE_POSTGRES_DSN is not set: "),
        (["topics", "check"], "EYE_KAFKA_BOOTSTRAP_SERVERS is not set: "),
        (["send", __file__], "no stack runs here: name the gateway with --url and a key with --key"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, list) else "",
)
def test_what_is_missing_exits_1_with_a_sentence(nothing: dict[str, str], arguments: list[str], sentence: str) -> None:
    ran = run_eye(*arguments, env=nothing)

    assert ran.returncode == 1
    assert ran.stderr.startswith(f"eye: {sentence}")
    assert ran.stdout == ""


def test_event_types_that_cannot_be_loaded_exit_1_with_a_sentence(nothing: dict[str, str]) -> None:
    ran = run_eye("schemas", env=nothing | {"EYE_EVENT_TYPES": "./nowhere"})

    assert (ran.returncode, ran.stderr) == (1, "eye: event types: there is no directory './nowhere'\n")


def test_the_event_types_are_listed_for_programs(nothing: dict[str, str]) -> None:
    ran = run_eye("schemas", "--json", env=nothing)

    assert ran.returncode == 0
    assert {"category": "page interaction", "name": "pageview", "version": 1} in json.loads(ran.stdout)


def test_migrations_are_applied_once(settings: Settings) -> None:
    """The test's database was made of a migrated template."""
    ran = run_eye("migrate", "--json", env=environment(settings))

    assert (ran.returncode, json.loads(ran.stdout)) == (0, {"applied": []})


@pytest.mark.parametrize("command", ["topics create", "topics check", "trace 7"])
def test_a_server_that_does_not_answer_exits_1_with_a_sentence(nothing: dict[str, str], command: str) -> None:
    """Whatever the libraries have to say of it: nothing but one line is printed."""
    away = {"EYE_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "EYE_POSTGRES_DSN": "host=127.0.0.1 port=1"}
    ran = run_eye(*command.split(), env=nothing | away)

    assert ran.returncode == 1
    assert [line for line in ran.stderr.splitlines() if line] == [ran.stderr.strip()]
    assert ran.stderr.startswith("eye: ")
    assert "doesn't answer" in ran.stderr


def test_an_address_of_kafka_that_is_none_exits_with_a_sentence(nothing: dict[str, str]) -> None:
    ran = run_eye("topics", "create", env=nothing | {"EYE_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:port"})

    assert ran.returncode in (1, 2)
    assert "Traceback" not in ran.stderr


def test_kafkas_own_tools_reach_the_brokers(settings: Settings) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "eye", "kafka", "topics", "--list"],
        env=os.environ | environment(settings),
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert (ran.returncode, topic_names(settings).raw in ran.stdout.splitlines()) == (0, True), ran.stderr


def test_a_tool_that_kafka_lacks_is_named_with_those_there_are(settings: Settings) -> None:
    ran = run_eye("kafka", "nonsense", env=environment(settings))

    assert (ran.returncode, "console-consumer, console-producer" in ran.stderr) == (1, True)


def test_psql_is_on_the_database_of_the_settings(settings: Settings) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "eye", "psql", "-tAc", "select count(*) from eye.events"],
        env=os.environ | environment(settings),
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert (ran.returncode, ran.stdout) == (0, "0\n"), ran.stderr


def test_the_environment_is_printed_for_other_tools(settings: Settings) -> None:
    shown = json.loads(run_eye("env", "--json", env=environment(settings)).stdout)

    assert shown["EYE_POSTGRES_DSN"] == settings.dsn
    assert shown["EYE_KAFKA_BOOTSTRAP_SERVERS"] == settings.kafka_bootstrap_servers


def test_without_a_stack_status_says_where_it_looked(nothing: dict[str, str]) -> None:
    ran = run_eye("status", env=nothing)

    assert (ran.returncode, nothing["EYE_DATA_DIR"] in ran.stderr) == (1, True)


def test_the_version_is_printed(nothing: dict[str, str]) -> None:
    assert run_eye("--version", env=nothing).stdout == f"eye {version('the-eye')}\n"
