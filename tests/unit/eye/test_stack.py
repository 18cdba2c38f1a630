"""The stack on this machine: its data directory, its description, and the variables its processes get."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from eye.local.data_dir import claim_data_dir
from eye.local.registry import (
    STACK_FILE,
    StackInfo,
    StackPart,
    find_stacks,
    process_start,
    read_stack,
    remove_stack,
    write_stack,
)
from eye.local.stack import environment
from schemas.settings import Settings


def test_a_second_stack_gets_a_directory_of_its_own(tmp_path: Path) -> None:
    wanted = tmp_path / "eye"

    (first, first_dir), (second, second_dir), (third, third_dir) = (claim_data_dir(wanted) for _ in range(3))

    assert [first_dir, second_dir, third_dir] == [wanted, wanted / "stack-2", wanted / "stack-3"]
    assert third_dir.is_dir()
    for lock in (first, second, third):
        lock.close()


def test_a_directory_is_free_again_when_its_stack_has_gone(tmp_path: Path) -> None:
    lock, _ = claim_data_dir(tmp_path)
    lock.close()

    lock, directory = claim_data_dir(tmp_path)
    lock.close()

    assert directory == tmp_path


def settings_of(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return Settings()


def test_another_process_reads_the_same_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(
        kafka_bootstrap_servers="a:1,b:2", postgres_dsn=SecretStr("host=db password='s e'"), data_dir=tmp_path,
        topic_prefix="blue.", partitions=3, event_types=["schemas.event_types", str(tmp_path)], max_age_seconds=5.5,
        unknown_event_types="accept", kafka_sasl_password=SecretStr("secret"), applications=tmp_path / "a.toml",
    )  # fmt: skip

    assert settings_of(environment(settings), monkeypatch) == settings


def test_defaults_are_not_passed_on_but_servers_and_directory_are(tmp_path: Path) -> None:
    assert environment(Settings(data_dir=tmp_path)) == {"EYE_DATA_DIR": str(tmp_path)}


def test_a_process_in_another_directory_finds_the_same_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The processes of a stack run in its log directory."""
    (tmp_path / "events").mkdir()
    monkeypatch.chdir(tmp_path)

    variables = environment(
        Settings(
            data_dir=Path(".eye"), event_types=["schemas.event_types", "./events"],
            applications=Path("applications.toml"), kafka_ssl_cafile=Path("ca.pem"),
        )
    )  # fmt: skip

    assert variables["EYE_DATA_DIR"] == str(tmp_path / ".eye")
    assert variables["EYE_EVENT_TYPES"] == f"schemas.event_types,{tmp_path / 'events'}"
    assert variables["EYE_APPLICATIONS"] == str(tmp_path / "applications.toml")
    assert variables["EYE_KAFKA_SSL_CAFILE"] == str(tmp_path / "ca.pem")


def a_stack(data_dir: Path, pid: int | None = None) -> StackInfo:
    pid = pid or os.getpid()
    return StackInfo(
        url="http://u",
        key="k",
        environment={"EYE_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9092"},
        data_dir=str(data_dir),
        process=(pid, process_start(pid) or ""),
        parts=[StackPart("gateway", "http://u", pid, "/log")],
    )


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give this test a registry of its own, and a directory in which no stack runs."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    return tmp_path


def test_without_a_stack_nothing_is_found(state: Path) -> None:
    assert read_stack(state) is None
    assert find_stacks(state / "nowhere") == []
    assert find_stacks() == []


def test_a_stack_is_found_from_any_directory_until_it_ends(state: Path) -> None:
    write_stack(state, a_stack(state))

    assert find_stacks() == [a_stack(state)]
    assert read_stack(state) == a_stack(state)
    assert (state / STACK_FILE).stat().st_mode & 0o077 == 0

    remove_stack(state)
    assert find_stacks() == []


def test_a_stack_above_the_directory_comes_before_others(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    near, far = state / "here" / ".eye", state / "far"
    for directory in (near, far):
        directory.mkdir(parents=True)
        write_stack(directory, a_stack(directory))
    below = state / "here" / "a" / "b"
    below.mkdir(parents=True)

    monkeypatch.chdir(below)
    assert [stack.data_dir for stack in find_stacks()] == [str(near)]
    monkeypatch.chdir(state)
    assert {stack.data_dir for stack in find_stacks()} == {str(near), str(far)}


def test_a_stack_whose_process_was_killed_is_not_found(state: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    write_stack(state, a_stack(state, child.pid))
    assert len(find_stacks()) == 1

    child.kill()
    child.communicate()

    assert find_stacks() == []
    assert find_stacks(state) == []
