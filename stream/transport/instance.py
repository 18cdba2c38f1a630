"""Which of a host's workers this one is: a number that a restarted worker takes up again.

Kafka gives the partitions of a static member back to it when it returns under its name; so a worker that
was killed and started again goes on at once, instead of after the session timeout.
"""

from __future__ import annotations

import fcntl
import os
import socket
import zlib
from pathlib import Path


def claim_instance(data_dir: Path, stage: str) -> str:
    """Return a name that no other live worker of this stage has; it is free again when this process ends.

    The name is made of the host, the data directory and the lowest free number.
    """
    directory = data_dir / "workers"
    directory.mkdir(parents=True, exist_ok=True)
    place = zlib.crc32(str(directory.resolve()).encode())
    number = 0
    while not _lock(directory / f"{stage}-{number}.lock"):
        number += 1
    return f"{socket.gethostname()}-{place:08x}-{stage}-{number}"


def _lock(path: Path) -> bool:
    """Lock a file for the life of this process; False when another process has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return False
    return True
