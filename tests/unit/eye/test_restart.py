"""Crash-only workers: a failed process begins anew in its own place, and waits longer each time in a row."""

from __future__ import annotations

import os
import sys

import pytest

from eye.runtime.restart import pause_after_restart, restart_process

COUNT = "EYE_RESTARTS_IN_A_ROW"


class Replaced(BaseException):
    """Stands for the end of this process by `execv`."""

    def __init__(self, path: str, arguments: list[str]) -> None:
        self.path, self.arguments = path, arguments


@pytest.fixture(autouse=True)
def a_process_that_can_be_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    def execv(path: str, arguments: list[str]) -> None:
        raise Replaced(path, arguments)

    monkeypatch.setattr(os, "execv", execv)
    monkeypatch.setattr("logging.shutdown", lambda: None)
    monkeypatch.setattr(sys, "argv", ["/somewhere/bin/eye", "stream", "--option"])
    monkeypatch.setenv(COUNT, "0")


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    return slept


def crash(ran_seconds: float = 1.0) -> Replaced:
    with pytest.raises(Replaced) as replaced:
        restart_process(RuntimeError("lost the thread"), ran_seconds)
    return replaced.value


def test_the_same_command_runs_again_in_the_same_process(caplog: pytest.LogCaptureFixture) -> None:
    replaced = crash()

    assert (replaced.path, replaced.arguments) == (sys.executable, [sys.executable, "-m", "eye", "stream", "--option"])
    assert caplog.messages == ["lost the thread; beginning anew"]


def test_a_process_that_never_failed_does_not_wait(pauses: list[float]) -> None:
    pause_after_restart()

    assert pauses == []


def test_the_pause_grows_with_each_failure_in_a_row_up_to_a_limit(pauses: list[float]) -> None:
    for _ in range(10):
        crash()
        pause_after_restart()

    longest = [min(0.5 * 2**number, 30.0) for number in range(10)]
    assert all(most / 2 <= pause <= most for pause, most in zip(pauses, longest, strict=True))


def test_a_process_that_ran_well_for_a_while_begins_to_count_anew(pauses: list[float]) -> None:
    for _ in range(5):
        crash()

    crash(ran_seconds=61.0)
    pause_after_restart()

    assert os.environ[COUNT] == "1"
    assert pauses[0] <= 0.5
