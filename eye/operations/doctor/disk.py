"""Checks of the disks on this machine: free space, and the size of the gateways' spools."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from eye.operations.disk import disk_space
from eye.operations.doctor.finding import Finding
from schemas.settings import Settings

LEAST_BYTES = 1024**3
LEAST_SHARE = 0.05

_HERE = ("localhost", "127.0.0.1", "::1")

_MEND = "Make room, or give it a larger disk: a full one stops everything. Shorter retention helps from then on."


def check_disk(what: str, directory: Path) -> Finding:
    """Tell how much room a directory's disk has left; too little is less than 1 GiB, or than a twentieth."""
    room = disk_space(directory)
    ok = room.free >= LEAST_BYTES and room.free >= LEAST_SHARE * room.size
    return Finding(what, ok, f"{_gib(room.free)} of {_gib(room.size)} free at {directory}", _MEND)


def check_data_dir(settings: Settings) -> Iterator[Finding]:
    """Look at the data directory, and at the spool in it where there is one."""
    yield check_disk("disk of the data directory", settings.data_dir)
    spool = settings.spool_directory
    if spool.is_dir():
        sizes = [path.stat().st_size for path in spool.rglob("*") if path.is_file()]
        yield Finding("spool", True, f"{sum(sizes):,} bytes in {len(sizes)} files at {spool}")
        yield check_disk("disk of the spool", spool)


def check_server_disk(what: str, host: str | None, directory: str) -> Iterator[Finding]:
    """Look at a server's directory, where the server is on this machine and we may see it."""
    if host and not host.startswith("/") and host not in _HERE:
        return
    try:
        there = Path(directory).is_absolute() and Path(directory).is_dir()
    except OSError:
        return
    if there:
        yield check_disk(what, Path(directory))


def _gib(size: int) -> str:
    return f"{size / 1024**3:,.1f} GiB"
