"""The directory of a stack's data, which one process holds at a time."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import IO


def claim_data_dir(wanted: Path) -> tuple[IO[str], Path]:
    """Lock a data directory for this process: the wanted one, or, where a stack runs in it, one inside."""
    number = 1
    while True:
        directory = wanted if number == 1 else wanted / f"stack-{number}"
        directory.mkdir(parents=True, exist_ok=True)
        lock = (directory / "lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            number += 1
        else:
            return lock, directory
