"""The disk that a directory is on."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple


class Room(NamedTuple):
    """Size of a disk, and what is left for us, in bytes."""

    size: int
    free: int


def room_at(directory: Path) -> Room:
    """Return the room on a directory's disk, whether or not it is there already. Raises OSError."""
    existing = next(path for path in (directory, *directory.absolute().parents) if path.exists())
    usage = shutil.disk_usage(existing)
    return Room(usage.total, usage.free)
