"""Instance names of workers: a restarted worker takes up the name of the one that ended.

Kafka returns the partitions of a static group member to it when it comes back under its name. So a worker that was
killed and started again continues at once, instead of after the session timeout.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import socket
from contextlib import suppress
from pathlib import Path


def claim_instance(data_dir: Path, stage: str) -> str:
    """Return a name that no other live worker of this stage has; it is freed when this process ends.

    The name is made of the host, a word kept in the data directory and the lowest free number.
    """
    directory = data_dir / "workers"
    directory.mkdir(parents=True, exist_ok=True)
    number = 0
    while not _lock(directory / f"{stage}-{number}.lock"):
        number += 1
    return f"{socket.gethostname()}-{_word_of(directory)}-{stage}-{number}"


def _word_of(directory: Path) -> str:
    """Return the data directory's random word, made at the first call: two hosts may have the same name."""
    made = directory / f".name-{os.getpid()}"
    made.write_text(secrets.token_hex(4))
    with suppress(FileExistsError):
        os.link(made, directory / "name")
    made.unlink()
    return (directory / "name").read_text()


def _lock(path: Path) -> bool:
    """Lock a file for the life of this process; False when another process has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return False
    return True
