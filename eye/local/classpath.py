"""Kafka's jars: what pom.xml asks for, fetched by Maven into its own repository."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eye.local.errors import LocalError
from eye.local.tools import find_maven

_POM = Path(__file__).with_name("pom.xml")


def kafka_classpath() -> str:
    """Return the classpath of Kafka, every jar of it on this disk.

    From the user's cache, else from Maven, which takes some ten seconds and the network once. Callers in
    several processes wait for one another. Raises MissingTool without Maven, LocalError when it fails.
    """
    cached = cache_directory() / f"kafka-{digest(_POM.read_text())}.classpath"
    if not _is_complete(cached):
        with _only_one(cached.with_suffix(".lock")):
            if not _is_complete(cached):
                _ask_maven(cached)
    return cached.read_text()


def cache_directory() -> Path:
    """Return the directory of what can be had again: $XDG_CACHE_HOME or ~/.cache, there `the-eye`."""
    directory = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "the-eye"
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def digest(text: str) -> str:
    """Return a short name for a text, another one for any other text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _is_complete(cached: Path) -> bool:
    return cached.exists() and all(Path(jar).is_file() for jar in cached.read_text().split(os.pathsep))


def _ask_maven(cached: Path) -> None:
    with tempfile.TemporaryDirectory(dir=cached.parent) as scratch:
        answer = Path(scratch) / "classpath"
        command = [find_maven(), "--batch-mode", "--quiet", "--file", str(_POM), "dependency:build-classpath"]
        options = ["-DincludeScope=runtime", f"-Dmdep.outputFile={answer}"]
        maven = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
        if maven.returncode or not answer.exists():
            said = maven.stdout[-2000:].strip()
            raise LocalError(f"Maven could not fetch Kafka; mend what it says and try again:\n{said}")
        answer.replace(cached)


@contextmanager
def _only_one(lock: Path) -> Iterator[None]:
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
