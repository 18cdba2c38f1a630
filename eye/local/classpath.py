"""Kafka's jars: what pom.xml asks for, fetched by Maven into its own repository."""

from __future__ import annotations

import fcntl
import hashlib
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from eye.local.environment import without_jvm_options
from eye.local.errors import LocalError
from eye.local.tools import find_java, find_maven

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
    return _read(cached)


def cache_directory() -> Path:
    """Return the directory of what can be had again: $XDG_CACHE_HOME or ~/.cache, there `the-eye`.

    A user who has no home, or may not write there, has it in the virtual environment. Raises LocalError when
    that can't be written either.
    """
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    for place in (Path(home), Path(sys.prefix, "cache")):
        directory = place / "the-eye"
        with suppress(OSError):
            directory.mkdir(parents=True, exist_ok=True)
            if os.access(directory, os.W_OK | os.X_OK) and place.is_absolute():
                return directory
    raise LocalError(f"Nothing can be written to {home}: name a directory for Kafka's files in XDG_CACHE_HOME.")


def digest(text: str) -> str:
    """Return a short name for a text, another one for any other text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _is_complete(cached: Path) -> bool:
    return cached.exists() and all(map(os.path.isfile, _read(cached).split(os.pathsep)))


def _read(cached: Path) -> str:
    # paths, whatever the locale's encoding is
    return os.fsdecode(cached.read_bytes())


def _ask_maven(cached: Path) -> None:
    with tempfile.TemporaryDirectory(dir=cached.parent) as scratch:
        shutil.copy(_POM, scratch)
        answer = Path(scratch) / "classpath"
        command = [find_maven(), "--batch-mode", "--quiet", "dependency:build-classpath"]
        options = ["-DincludeScope=runtime", f"-Dmdep.outputFile={answer}", *_own_repository()]
        for environment in (dict(os.environ), without_jvm_options()):
            variables = environment | {"LC_ALL": "C.UTF-8", "JAVA_HOME": find_java().home}
            maven = subprocess.run(
                [*command, *options], cwd=scratch, env=variables, capture_output=True, text=True, check=False
            )
            if maven.returncode == 0:
                break
        if maven.returncode or not answer.exists():
            said = f"{maven.stdout}{maven.stderr}"[-2000:].strip()
            raise LocalError(f"Maven could not fetch Kafka; mend what it says and try again:\n{said}")
        answer.replace(cached)


def _own_repository() -> list[str]:
    """Return what tells Maven to keep its files in our cache, for a user whose home can't be written."""
    try:
        home = Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        home = Path("/nonexistent")
    repository = home / ".m2"
    if os.access(repository if repository.exists() else home, os.W_OK | os.X_OK):
        return []
    return [f"-Dmaven.repo.local={cache_directory() / 'm2'}"]


@contextmanager
def _only_one(lock: Path) -> Iterator[None]:
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
