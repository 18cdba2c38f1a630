"""The tests' own servers: a machine without any is told so in a sentence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("infra", "sentence"),
    [
        ("local", "install it with `apt-get install"),
        ("containers", "Containers need Docker: install it, and start its engine so that `docker info` works."),
    ],
)
def test_a_machine_without_servers_is_told_what_to_install(infra: str, sentence: str, tmp_path: Path) -> None:
    run = [sys.executable, "-m", "pytest", f"--infra={infra}", "tests/integration/eye/test_topics_live.py"]
    nothing = {"PATH": str(tmp_path), "HOME": str(tmp_path)}

    done = subprocess.run(run, cwd=ROOT, env=nothing, capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert sentence in done.stdout
    assert "Traceback" not in done.stdout
