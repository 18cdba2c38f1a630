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

from eye.local.environment import without_jvm_options
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
    """Return the directory of what can be fetched again: $XDG_CACHE_HOME or ~/.cache, there `the-eye`.

    A user who can't write there gets one in the temporary directory.
    """
    directory = Path(os.environ.get("XDG_CACHE_HOME") or _home() / ".cache") / "the-eye"
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError:
        return _temporary_cache()
    return directory if os.access(directory, os.W_OK) else _temporary_cache()


def _home() -> Path:
    """Return the user's home directory; /nonexistent for a user that the system does not know."""
    home = Path(os.path.expanduser("~"))
    return home if home.is_absolute() else Path("/nonexistent")


def _temporary_cache() -> Path:
    """Return a cache for a user who can't write at home. Raises LocalError when another user took its name."""
    directory = Path(tempfile.gettempdir()) / f"the-eye-{os.getuid()}"
    directory.mkdir(mode=0o700, exist_ok=True)
    if directory.is_symlink() or directory.stat().st_uid != os.getuid():
        raise LocalError(f"{directory} belongs to another user: set XDG_CACHE_HOME to a directory of your own.")
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
        if not os.access(_home(), os.W_OK):
            options.append(f"-Dmaven.repo.local={cached.parent / 'maven'}")
        command += options
        maven = subprocess.run(command, capture_output=True, text=True, check=False, env=without_jvm_options())
        if maven.returncode or not answer.exists():
            said = maven.stdout[-2000:].strip()
            raise LocalError(f"Maven could not fetch Kafka; mend what it says and try again:\n{said}")
        answer.replace(cached)


@contextmanager
def _only_one(lock: Path) -> Iterator[None]:
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
