"""The segments of one process: written at the end, read from the beginning, adopted from processes that died."""

from __future__ import annotations

import itertools
import logging
import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from gateway.spool.file_names import SUFFIX, new_file_name
from gateway.spool.record import Spooled
from gateway.spool.segment import Segment, error_code

log = logging.getLogger(__name__)


FILE_BYTES = 32 * 1024 * 1024
"""A file that is this full is followed by a new one; it takes its place on disk until all of it is delivered."""


class Depth(NamedTuple):
    """The records in the spool that are not delivered, and the bytes of its files.

    `oldest` is the timestamp of its oldest record, in milliseconds since 1970; `damaged` counts the records found
    since the start that can't be read any more.
    """

    records: int = 0
    bytes: int = 0
    oldest: int | None = None
    damaged: int = 0


class Cursor(NamedTuple):
    """The place of a reader: in the file with this number of the process, behind this id."""

    file: int = 0
    after: int = 0


class Piece(NamedTuple):
    """Records of a partition, and the place to go on; `is_last`: there was no record behind them, of any partition."""

    entries: list[Spooled]
    cursor: Cursor
    is_last: bool


class Segments:
    """The files that this process has, in the order it got them. To be used in one thread at a time.

    Records are appended to the last one; a new one is begun where there is none, or where writing failed, and
    after files were adopted, so that later records stand behind earlier ones. Files are deleted once they are empty.
    """

    def __init__(self, directory: Path, topic: str) -> None:
        self._directory = directory
        self._topic = topic
        self._numbers = itertools.count(1)
        self._files: dict[int, Segment] = {}
        self._writing: Segment | None = None
        self._damaged = 0

    def adopt(self) -> int:
        """Take over every file whose process has ended; returns the number of their records."""
        known = {file.path for file in self._files.values()}
        found = 0
        for path in sorted(self._directory.glob(f"{self._topic}-*{SUFFIX}")):
            file = None if path in known else _claim(path)
            if file is not None:
                log.info("took over %s with %d events", path, file.records)
                self._add(file)
                self._writing = None
                found += file.records
        self._delete_empty()
        return found

    def append(self, entries: Sequence[Spooled]) -> None:
        """Write records, all or none; they are on disk on return. Raises sqlite3.Error or OSError."""
        if self._writing is None or self._writing.bytes >= FILE_BYTES:
            self._writing = self._create()
        try:
            self._writing.append(entries)
        except sqlite3.Error as error:
            if error_code(error) != sqlite3.SQLITE_FULL:
                self._writing = None  # what a failed fsync left behind is not to be built upon
            self._delete_empty()
            raise

    def remove(self, entries: Sequence[Spooled]) -> None:
        """Note that records are delivered. Raises sqlite3.Error or OSError; noted ones lose their segment."""
        for file, its in self._by_file(entries).items():
            file.remove(its)
            for entry in its:
                entry.segment = None
        self._delete_empty()

    def release(self, entries: Sequence[Spooled]) -> None:
        """Make leased records pending again."""
        for file, its in self._by_file(entries).items():
            file.release(its)

    def read(self, cursor: Cursor, partition: int, partitions: int, most_bytes: int) -> Piece:
        """Lease the oldest pending records of a partition behind the cursor; see Segment.read. Raises sqlite3.Error."""
        ahead = [number for number in self._files if number >= cursor.file]
        if not ahead:
            return Piece([], cursor, is_last=True)
        number, *others = ahead
        file = self._files[number]
        entries, after = file.read(cursor.after if number == cursor.file else 0, partition, partitions, most_bytes)
        is_read = after >= file.end
        self._delete_empty()
        if is_read and others:
            return Piece(entries, Cursor(others[0]), is_last=False)
        return Piece(entries, Cursor(number, after), is_read)

    def depth(self) -> Depth:
        """Return the records and bytes that are there."""
        files = self._files.values()
        oldest = [timestamp for file in files if (timestamp := file.oldest()) is not None]
        return Depth(
            records=sum(file.records for file in files),
            bytes=sum(file.bytes for file in files),
            oldest=min(oldest, default=None),
            damaged=self._damaged + sum(file.damaged for file in files),
        )

    def close(self) -> None:
        """Leave the files to the next process."""
        for file in self._files.values():
            file.close()

    def _by_file(self, entries: Sequence[Spooled]) -> dict[Segment, list[Spooled]]:
        """Group the records that were written by their file."""
        files = {file.path: file for file in self._files.values()}
        grouped: defaultdict[Segment, list[Spooled]] = defaultdict(list)
        for entry in entries:
            if entry.segment in files:
                grouped[files[entry.segment]].append(entry)
        return grouped

    def _create(self) -> Segment:
        try:
            made = Segment.create(self._new_path())
        except (FileNotFoundError, sqlite3.OperationalError):  # taken for one left behind, before it was locked
            made = Segment.create(self._new_path())
        self._add(made)
        return made

    def _new_path(self) -> Path:
        return self._directory / new_file_name(self._topic)

    def _add(self, file: Segment) -> None:
        self._files[next(self._numbers)] = file

    def _delete_empty(self) -> None:
        for number, file in list(self._files.items()):
            if not file.records:
                del self._files[number]
                if file is self._writing:
                    self._writing = None
                self._damaged += file.damaged
                file.delete()


def _claim(path: Path) -> Segment | None:
    """Claim a file; one that is no spool at all is renamed to .damaged."""
    try:
        return Segment.claim(path)
    except sqlite3.Error as error:
        log.error("%s can't be read: %s", path, error)
        if error_code(error) in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_ERROR):
            path.rename(path.with_suffix(".damaged"))
        return None
