"""Every example of README and docs works: commands against a running pipeline, files as what they are for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from eye.local.process import wait_until
from eye.local.stack import environment
from eye.redrive.transform import read_steps
from gateway.access.api_keys import KeyRing
from schemas.catalogue import load_catalogue
from schemas.settings import Settings
from tests.conftest import KEY
from tests.support.examples import Example, examples, stable
from tests.support.pipeline import SAMPLE, Pipeline, an_event, ndjson

pytestmark = pytest.mark.timeout(600)

ALL = list(examples())


def chosen(*languages: str) -> pytest.MarkDecorator:
    found = [example for example in ALL if example.language in languages and example.reason is None]
    return pytest.mark.parametrize("example", found, ids=[f"{example.page}:{example.line}" for example in found])


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


def run(example: Example, pipeline: Pipeline, place: Path) -> subprocess.CompletedProcess[str]:
    """Run a console block in one shell, with the pipeline's address and key in place of the docs'."""
    script = example.script.replace("http://127.0.0.1:8080", pipeline.gateway.url).replace("KEY", KEY)
    variables = environment(pipeline.settings) | {
        "PATH": f"{Path(sys.prefix) / 'bin'}:{os.environ['PATH']}",
        "EYE_URL": pipeline.gateway.url,
        "EYE_GATEWAY_PORT": str(pipeline.gateway.port),
        "EYE_KEY": KEY,
        "COLUMNS": "200",
    }
    return subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", script],
        cwd=place,
        env=variables,
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
        assert keys.find("test")
        assert keys.fault is None


def test_every_example_that_is_not_run_says_why() -> None:
    assert [example for example in ALL if example.reason is not None and len(example.reason) < 10] == []
    assert [f"{e.page}:{e.line}" for e in ALL if e.language == "sh"] == []
