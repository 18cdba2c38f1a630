"""The programs that the client is built and tested with: node, npm, Chromium."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

CLIENT = Path(__file__).parents[1]
"""The directory of the client."""

FLAGS = ["--no-sandbox", "--host-resolver-rules=MAP *.example 127.0.0.1"]
"""Chromium as root may start it; http://shop.example is this machine, and no secure origin."""

_PACKAGES = {"npm": "nodejs npm", "chromium": "chromium"}


def find(program: str, *others: str) -> str:
    """Return the path of a program, or of another one that does as well; the test fails, saying how to get it."""
    found = next(filter(None, map(shutil.which, (program, *others))), None)
    if found is None:
        pytest.fail(f"{program} is missing: `apt-get install {_PACKAGES[program]}`, or .ci/browser.", pytrace=False)
    return found


def find_chromium() -> str:
    """Return the path of Chromium, or of Chrome."""
    return find("chromium", "chromium-browser", "google-chrome")


def npm(*arguments: str, directory: Path = CLIENT) -> str:
    """Run npm in a directory and return what it says; the test fails with all of it when npm does."""
    run = subprocess.run([find("npm"), *arguments], cwd=directory, capture_output=True, text=True, check=False)
    if run.returncode:
        pytest.fail(f"npm {' '.join(arguments)}:\n{run.stdout}{run.stderr}", pytrace=False)
    return run.stdout


@contextmanager
def alone() -> Iterator[None]:
    """Keep other test processes from building while this one does."""
    with (CLIENT / "package.json").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def build(directory: Path) -> None:
    """Build the client, and put the module, the snippet and the package's tarball into a directory."""
    with alone():
        if not (CLIENT / "node_modules").is_dir():
            npm("ci", "--no-audit", "--no-fund")
        npm("run", "--silent", "build")
        npm("pack", "--silent", "--ignore-scripts", "--pack-destination", str(directory))
        for name in ("eye.js", "snippet.js"):
            shutil.copy(CLIENT / "dist" / name, directory)
