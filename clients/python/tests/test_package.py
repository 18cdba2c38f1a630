"""The package: built as a wheel, installed without anything of The Eye, and used there."""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from tests.support.pipeline import Pipeline

from clients.python.tests.sending import KEY

CLIENT = Path(__file__).parents[1]

USE = """
import importlib.metadata, importlib.util, sys
from eye_client import Eye, Result, __version__
from eye_client.testing import FakeEye

assert importlib.util.find_spec("schemas") is None, "it stands on its own"
assert __version__ == importlib.metadata.version("the-eye-client") != "0"
results: list[Result] = []
with Eye(sys.argv[1], sys.argv[2], on_result=results.append, disk=sys.argv[3]) as eye:
    event_id = eye.send("page interaction", "pageview", "wheel", {"host": "www.example.com", "path": "/"})
assert [result.event_id for result in results] == [event_id], eye.counts()
assert [found.name for found in importlib.metadata.entry_points(group="pytest11")] == ["eye_client"]
"""


def pythons() -> list[str]:
    """Return this Python, and the oldest that is promised where it is installed."""
    return [sys.executable, *filter(None, [_oldest()])]


def _oldest() -> str | None:
    found = shutil.which("python3.10")
    runs = found and subprocess.run([found, "-c", "import ensurepip"], capture_output=True, check=False)
    return found if runs and runs.returncode == 0 else None


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy of the sources."""
    directory = tmp_path_factory.mktemp("wheel")
    sources = directory / "sources"
    shutil.copytree(CLIENT, sources, ignore=shutil.ignore_patterns("tests", "build", "*.egg-info", "__pycache__"))
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", directory, sources], check=True)
    [built] = directory.glob("the_eye_client-*.whl")
    return built


@pytest.mark.parametrize("python", pythons(), ids=lambda python: Path(python).name)
def test_the_wheel_works_in_a_clean_environment(the_eye: Pipeline, wheel: Path, tmp_path: Path, python: str) -> None:
    environment = tmp_path / "environment"
    if python == sys.executable:
        venv.create(environment, with_pip=True)
    else:
        subprocess.run([python, "-m", "venv", environment], check=True)
    installed = str(environment / "bin" / "python")
    pip = [installed, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", str(wheel)], check=True)

    terms = ["-I", "-Werror", "-c", USE, the_eye.gateway.url, KEY, str(tmp_path / "queue")]
    subprocess.run([installed, *terms], cwd=tmp_path, check=True)


def test_the_wheel_has_types(wheel: Path) -> None:
    listed = subprocess.run([sys.executable, "-m", "zipfile", "-l", str(wheel)], capture_output=True, check=True)

    assert b"eye_client/py.typed" in listed.stdout
    assert b"tests" not in listed.stdout
