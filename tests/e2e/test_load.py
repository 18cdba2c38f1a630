"""The load that `make load` puts on a stack: no request of it fails."""

from __future__ import annotations

import os
import subprocess
import sys

from schemas.settings import Settings
from tests.conftest import KEY
from tests.support.pipeline import Pipeline


def test_the_load_runs_against_any_stack_without_a_failure(settings: Settings) -> None:
    with Pipeline(settings) as pipeline:
        command = [sys.executable, "-m", "tests.load", "--users", "24", "--spawn-rate", "24", "--seconds", "6"]
        environment = os.environ | {"EYE_KEY": KEY, "EYE_URL": pipeline.gateway.url}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)

    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("one event", "a batch of 100", "events of a session"):
        assert name in done.stderr + done.stdout


def test_without_a_stack_the_load_says_how_to_get_one(tmp_path: object) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ("EYE_URL", "EYE_KEY")}
    command = [sys.executable, "-m", "tests.load"]
    environment["EYE_DATA_DIR"] = str(tmp_path)

    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=60)

    assert done.returncode == 1
    assert "Start one with `make up`" in done.stderr
