"""A lock of a spool directory: one command at a time sends what lies in it."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eye.operations.spools.errors import SpoolError

LOCK_NAME = "sending.lock"


@contextmanager
def sending_alone(directory: Path) -> Iterator[None]:
    """Keep other commands from sending what lies in a directory. Raises SpoolError when one does so now."""
    try:
        lock = (directory / LOCK_NAME).open("a")
    except OSError as error:
        raise SpoolError(f"{directory} can't be written as this user: {error}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SpoolError(f"another process sends what lies in {directory}") from None
        yield
