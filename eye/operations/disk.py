"""The disk that a directory is on."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple


class DiskSpace(NamedTuple):
    """Size of a disk, and what is left for us, in bytes."""

    size: int
    free: int


def disk_space(directory: Path) -> DiskSpace:
    """Return size and free space of a directory's disk; the directory may be missing. Raises OSError."""
    existing = next(path for path in (directory, *directory.absolute().parents) if path.exists())
    usage = shutil.disk_usage(existing)
    return DiskSpace(usage.total, usage.free)
