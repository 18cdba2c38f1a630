"""Survey of a spool directory: whose files lie in it, what they hold, and what is set aside."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from eye.operations.gateways import GatewayState
from eye.operations.spools.errors import SpoolError
from gateway.spool.file_names import SUFFIX, host_name, owner_name, parse_file_name
from gateway.spool.refused import FILE_NAME, count_refused
from gateway.spool.segment import Segment
from schemas.settings import Settings

_LOCKS = Path("/proc/locks")


@dataclass(frozen=True, slots=True)
class SpoolFile:
    """One file of a spool. `records` and `oldest` are not known of a file that a living process has.

    `oldest` is the timestamp of its oldest record, in milliseconds since 1970.
    """

    path: Path
    topic: str
    owner: str
    alive: bool
    bytes: int
    records: int | None = None
    oldest: int | None = None
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class OwnedSpool:
    """The files of one topic that one process has, or left when it died; None: not known."""

    owner: str
    alive: bool
    topic: str
    files: int
    bytes: int
    records: int | None
    oldest_seconds: float | None


@dataclass(frozen=True, slots=True)
class Survey:
    """Everything in a spool directory; `refused` counts the records set aside, by topic."""

    directory: Path
    files: list[SpoolFile] = field(default_factory=list)
    refused: Mapping[str, int] = field(default_factory=dict)
    damaged: list[Path] = field(default_factory=list)

    @property
    def left(self) -> list[SpoolFile]:
        """The files that no living process has."""
        return [file for file in self.files if not file.alive]

    def owned(self, gateways: Iterable[GatewayState] = ()) -> list[OwnedSpool]:
        """Return the spools by their owners; what a living one holds is asked of the gateways that answered."""
        told = {state.spool_owner: state for state in gateways if state.reachable and state.spool_owner}
        groups: defaultdict[tuple[str, bool, str], list[SpoolFile]] = defaultdict(list)
        for file in self.files:
            groups[file.owner, file.alive, file.topic].append(file)
        return [_owned(files, told.get(owner) if alive else None) for (owner, alive, _), files in groups.items()]


def find_directory(settings: Settings, given: Path | None) -> Path:
    """Return the spool directory that is meant: the given one, its `spool`, or that of the settings.

    Raises SpoolError when it is not there.
    """
    directory = given or settings.spool_directory
    if not directory.is_dir():
        raise SpoolError(f"there is no directory {directory}; name that of a gateway's spool")
    inner = directory / "spool"
    if given is not None and not _is_spool(directory) and inner.is_dir():
        return inner
    return directory


def survey_directory(directory: Path) -> Survey:
    """Look at every file of a spool directory; those of dead processes are opened for a moment and left as they are.

    Raises SpoolError when the directory can't be read.
    """
    try:
        paths = sorted(directory.iterdir())
        refused = count_refused(directory)
    except (OSError, sqlite3.Error) as error:
        raise SpoolError(f"{directory} can't be read: {error}") from error
    return Survey(directory, list(_files(paths)), refused, [path for path in paths if path.suffix == ".damaged"])


def _is_spool(directory: Path) -> bool:
    return (directory / FILE_NAME).exists() or any(directory.glob(f"*{SUFFIX}"))


def _files(paths: Iterable[Path]) -> Iterator[SpoolFile]:
    for path in paths:
        name = parse_file_name(path.name)
        if name is None:
            continue
        size = _size(path)
        try:
            content = _read(path)
        except (sqlite3.Error, OSError) as error:
            yield SpoolFile(path, name.topic, name.owner, False, size, fault=str(error))
            continue
        if content is not None:
            yield SpoolFile(path, name.topic, name.owner, False, size, *content)
        elif path.exists():  # else it was sent to its end meanwhile
            yield SpoolFile(path, name.topic, _holder(path) or name.owner, True, size)


def _read(path: Path) -> tuple[int, int | None] | None:
    """Return the number of records of a dead process's file, and its oldest timestamp; None while it lives."""
    segment = Segment.claim(path)
    if segment is None:
        return None
    with contextlib.closing(segment):
        return segment.records, segment.oldest() if segment.records else None


def _size(path: Path) -> int:
    """Return the bytes that a file takes, its log included."""
    return sum(part.stat().st_size for part in (path, path.with_name(f"{path.name}-wal")) if part.exists())


def _holder(path: Path) -> str | None:
    """Return the process of this machine that has locked a file; None where the system does not tell."""
    try:
        inode, lines = str(path.stat().st_ino), _LOCKS.read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        parts = line.split()  # 1: POSIX ADVISORY WRITE pid major:minor:inode start end
        if len(parts) > 5 and parts[1] == "POSIX" and parts[5].split(":")[-1] == inode and parts[4].isdecimal():
            return owner_name(host_name(), int(parts[4])) if int(parts[4]) else None
    return None


def _owned(files: list[SpoolFile], state: GatewayState | None) -> OwnedSpool:
    known = [file.records for file in files if file.records is not None]
    records = sum(known) if len(known) == len(files) else None
    oldest = [file.oldest for file in files if file.oldest is not None]
    seconds = max(0.0, time.time() - min(oldest) / 1000) if oldest else None
    if state is not None:
        records, seconds = state.spooled_records, state.spool_oldest_seconds
    first = files[0]
    return OwnedSpool(
        owner=first.owner,
        alive=first.alive,
        topic=first.topic,
        files=len(files),
        bytes=sum(file.bytes for file in files),
        records=records,
        oldest_seconds=seconds,
    )
