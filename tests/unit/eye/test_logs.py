"""Log lines: JSON with its fields for programs, text at a terminal."""

from __future__ import annotations

import io
import json
import logging
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from aiokafka.errors import KafkaConnectionError

from eye.cli.processes import serve
from eye.runtime.logs import configure_logs
from schemas.record import place
from schemas.settings import LogFormat, Settings

log = logging.getLogger("stream.runner.partitions")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def logging_as_before(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Restore the logging afterwards; no stack that runs on this machine is found."""
    monkeypatch.setenv("EYE_DATA_DIR", str(tmp_path))
    root, hook = logging.getLogger(), threading.excepthook
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], threading.excepthook = handlers, hook
    root.setLevel(level)


def logged(monkeypatch: pytest.MonkeyPatch, form: LogFormat, err: io.StringIO) -> io.StringIO:
    monkeypatch.setattr(sys, "stderr", err)
    configure_logs("INFO", form)
    return err


def lines(err: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in err.getvalue().splitlines()]


def test_without_a_terminal_a_line_is_json_with_its_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    err = logged(monkeypatch, "auto", io.StringIO())

    log.warning("%s:%d failed", "events.raw", 3, extra=place("events.raw", 3, 17) | {"event_id": "order-1"})

    (line,) = lines(err)
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "WARNING", "logger": "stream.runner.partitions", "message": "events.raw:3 failed",
        "topic": "events.raw", "partition": 3, "offset": 17, "event_id": "order-1",
    }  # fmt: skip


@pytest.mark.parametrize(("form", "err"), [("auto", Terminal()), ("text", io.StringIO())], ids=["terminal", "asked"])
def test_for_people_a_line_is_text(form: LogFormat, err: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    logged(monkeypatch, form, err)

    log.warning("it failed", extra=place("events.raw", 3))

    assert err.getvalue().endswith("WARNING stream.runner.partitions: it failed\n")


@pytest.mark.parametrize(
    ("error", "traced"), [(RuntimeError("a bug"), True), (KafkaConnectionError("away"), False)], ids=["bug", "expected"]
)
def test_what_ends_a_process_is_a_line_of_its_log(
    error: Exception, traced: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EYE_LOG_FORMAT", "json")
    err = io.StringIO()
    monkeypatch.setattr(sys, "stderr", err)

    def run(_: Settings) -> None:
        raise error

    with pytest.raises(typer.Exit):
        serve(run)

    (line,) = lines(err)
    assert (line["level"], str(error) in line["message"], "Traceback" in str(line.get("exc_info"))) == (
        "CRITICAL", True, traced,
    )  # fmt: skip


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_what_ends_a_thread_is_a_line_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EYE_LOG_FORMAT", "json")
    err = io.StringIO()
    monkeypatch.setattr(sys, "stderr", err)

    def fail() -> None:
        raise RuntimeError("a bug")

    def run(_: Settings) -> None:
        thread = threading.Thread(target=fail)
        thread.start()
        thread.join()

    serve(run)

    (line,) = lines(err)
    assert "a thread has ended: RuntimeError('a bug')" in line["message"]
