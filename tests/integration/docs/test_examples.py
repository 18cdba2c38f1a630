"""Every example of README and docs works: commands against a running pipeline, files as what they are for."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from eye.local.process import wait_until
from eye.local.remembered_settings import free_port
from eye.local.stack import environment
from eye.operations.keys import add_key
from eye.redrive.transform import read_steps
from gateway.access.api_keys import KeyRing
from schemas.catalogue import load_catalogue
from schemas.settings import Settings
from tests.conftest import KEY
from tests.support.examples import (
    DRY_RUN,
    NOT_RUN,
    ROOT,
    RUN,
    RUN_BY,
    UNTIL_CTRL_C,
    Example,
    example,
    examples,
    stable,
)
from tests.support.pipeline import SAMPLE, Pipeline, an_event, fetch_status, ndjson

pytestmark = pytest.mark.timeout(600)

ALL = list(examples())


def chosen(language: str, way: str = RUN) -> pytest.MarkDecorator:
    found = [block for block in ALL if (block.language, block.way) == (language, way)]
    return pytest.mark.parametrize("example", found, ids=[f"{block.page}:{block.line}" for block in found])


@pytest.fixture(scope="module")
def pipeline(shared_settings: Settings) -> Iterator[Pipeline]:
    with Pipeline(shared_settings) as running:
        yield running


@pytest.fixture(scope="module")
def place(pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory as a reader has it: the sample, files that examples name, programs of .venv."""
    directory = tmp_path_factory.mktemp("reader")
    (directory / "tests").mkdir()
    shutil.copy(SAMPLE, directory / "tests")
    (directory / ".venv").symlink_to(Path(sys.prefix))
    steps = next(example.text for example in ALL if "[[steps]]" in example.text)
    (directory / "steps.toml").write_text(steps)
    send_known_events(pipeline)
    return directory


def send_known_events(pipeline: Pipeline) -> None:
    """Send what the examples read: an event of `my-session`, and one whose id stands in the docs."""
    events = [an_event(session_id="my-session", event_id="1b1325e1-e356-45d4-8346-d52ae6b0d0bb", data={"host": "h"})]
    body = ndjson([*events, an_event(session_id="my-session")])
    command = ["curl", "-sf", f"{pipeline.gateway.url}/events/", "-H", f"X-API-Key: {KEY}"]
    command += ["-H", "Content-Type: application/x-ndjson", "--data-binary", "@-"]
    subprocess.run(command, input=body, check=True, capture_output=True)
    wait = [*command[:2], f"{pipeline.gateway.url}/events?session_id=my-session", *command[3:5]]
    assert wait_until(lambda: b"my-session" in _output(wait), 60), "the event has no row"


def _output(command: list[str]) -> bytes:
    return subprocess.run(command, check=True, capture_output=True).stdout


def environment_of(settings: Settings, **ports: int) -> dict[str, str]:
    """Return the environment of commands; `ports` by stage."""
    return (
        {name: value for name, value in os.environ.items() if not name.startswith("EYE_")}
        | environment(settings)
        | {"PATH": f"{Path(sys.prefix) / 'bin'}:{os.environ['PATH']}", "EYE_KEY": KEY, "COLUMNS": "200"}
        | {f"EYE_{stage.upper()}_PORT": str(port) for stage, port in ports.items()}
    )


def a_fingerprint(settings: Settings) -> str:
    """Return the fingerprint of a key that nobody uses."""
    return hashlib.sha256(add_key(settings.applications_file, "shop", ["write"]).encode()).hexdigest()[:12]


def for_pipeline(example: Example, pipeline: Pipeline) -> str:
    """Return a console block with the pipeline's address and key in place of the docs'."""
    return re.sub(r"\bKEY\b", KEY, example.script.replace("http://127.0.0.1:8080", pipeline.gateway.url))


def run(example: Example, pipeline: Pipeline, place: Path) -> subprocess.CompletedProcess[str]:
    """Run a console block in one shell, with the pipeline's address and keys in place of the docs'."""
    script = for_pipeline(example, pipeline)
    if "FINGERPRINT" in script:
        script = script.replace("FINGERPRINT", a_fingerprint(pipeline.settings))
    variables = environment_of(pipeline.settings, gateway=pipeline.gateway.port)
    return subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", script],
        cwd=place,
        env=variables | {"EYE_URL": pipeline.gateway.url},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@chosen("console")
def test_commands_do_what_is_shown(example: Example, pipeline: Pipeline, place: Path) -> None:
    done = run(example, pipeline, place)
    shown = stable(done.stdout.replace("\r", "") + done.stderr)
    # the sample has events that are refused, and a tool that finds something says so by 1
    assert done.returncode in (0, 1), done.stderr
    assert "Usage:" not in done.stderr
    assert "Traceback" not in done.stderr
    assert [line for line in example.output if stable(line) not in shown] == []


@chosen("console", UNTIL_CTRL_C)
def test_a_command_that_stays_ends_by_ctrl_c(example: Example, pipeline: Pipeline, place: Path) -> None:
    process = subprocess.Popen(
        ["bash", "-c", f"exec env {for_pipeline(example, pipeline)}"],
        cwd=place,
        env=environment_of(pipeline.settings, gateway=free_port(), console=free_port()),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        assert process.stdout
        first = process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest = process.communicate(timeout=60)[0]

    # a program of ours ends in good order, any other one by the signal
    assert process.returncode in (0, -signal.SIGINT), first + rest
    assert "Traceback" not in first + rest


def test_the_processes_run_on_servers_of_ones_own(settings: Settings, tmp_path: Path) -> None:
    setting, *commands = example("docs/operators.md", "export EYE_KAFKA_BOOTSTRAP_SERVERS").script.splitlines()
    ports = {stage: free_port() for stage in ("gateway", "stream", "sinks")}
    variables = environment_of(settings, **ports)
    assert set(re.findall(r"EYE_\w+", setting)) <= variables.keys()

    with (tmp_path / "output").open("wb") as output:
        shell = subprocess.Popen(
            ["bash", "-c", "\n".join(commands)], env=variables, stdout=output, stderr=output, start_new_session=True
        )
        try:
            shell.wait(120)
            assert wait_until(lambda: all(map(is_ready, ports.values())), 120), (tmp_path / "output").read_text()
        finally:
            os.killpg(shell.pid, signal.SIGTERM)
            assert wait_until(lambda: not has_processes(shell.pid), 60)


def is_ready(port: int) -> bool:
    return fetch_status(f"http://127.0.0.1:{port}/readyz") == 200


def has_processes(group: int) -> bool:
    with suppress(ProcessLookupError):
        os.killpg(group, 0)
        return True
    return False


@chosen("console", DRY_RUN)
def test_commands_of_a_dry_run_are_known(example: Example) -> None:
    for command in example.script.splitlines():
        words = without_effect(shlex.split(command, comments=True))
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}"


def without_effect(words: list[str]) -> list[str]:
    """Return a command changed so that it checks its words and does nothing."""
    match words:
        case ["make", *arguments]:
            return ["make", "--dry-run", *arguments]
        case [".venv/bin/pytest", *arguments]:
            return [sys.executable, "-m", "pytest", "--collect-only", "-q", *arguments]
        case [".venv/bin/python", "-m", *arguments]:
            return [sys.executable, "-m", *arguments, "--help"]
    raise AssertionError(f"no way to run this dry: {shlex.join(words)}")


@chosen("python")
def test_event_types_can_be_loaded(example: Example, tmp_path: Path) -> None:
    (tmp_path / "example.py").write_text(example.text)

    assert list(load_catalogue([str(tmp_path)]))


@chosen("toml")
def test_files_are_read_by_what_they_are_for(example: Example, tmp_path: Path) -> None:
    file = tmp_path / "example.toml"
    file.write_text(example.text)
    if "[[steps]]" in example.text:
        assert read_steps(file)
    else:
        keys = KeyRing(file)
        assert bool(keys.find("test")) is ("sha256" in example.text)
        assert (keys.loaded, keys.fault) == (True, None)


def test_every_example_that_is_not_run_says_why() -> None:
    assert [block for block in ALL if block.way in (DRY_RUN, NOT_RUN) and len(block.reason) < 10] == []
    assert [f"{block.page}:{block.line}" for block in ALL if block.language == "sh"] == []


def test_the_test_that_runs_an_example_reads_it_from_the_page() -> None:
    assert [
        f"{block.page}:{block.line}"
        for block in ALL
        if block.way == RUN_BY and f'"{block.page}"' not in (ROOT / block.reason).read_text()
    ] == []
