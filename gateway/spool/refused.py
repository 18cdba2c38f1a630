"""Records set aside: spooled events that the topic does not take, kept in one small database of all gateways.

The file is SQLite with ordinary locks, so that several processes, and people, can read and write it.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from gateway.spool.record import Spooled, encode

FILE_NAME = "refused.sqlite"
LOCK_SECONDS = 5.0

_SET_UP = """
    create table if not exists refused (
        id integer primary key, refused_at integer not null, reason text not null, topic text not null,
        size integer not null, record blob not null
    )
"""
_INSERT = "insert into refused (refused_at, reason, topic, size, record) values (?, ?, ?, ?, ?)"
_COUNT = "select count(*) from refused where topic = ?"
_REASON = "larger than the topic's max.message.bytes"


class RefusedRecords:
    """The records that one topic refused; `record` in the file is the msgpack of key, value, headers, timestamp.

    Methods raise sqlite3.Error or OSError.
    """

    def __init__(self, directory: Path, topic: str) -> None:
        self._path = directory / FILE_NAME
        self._topic = topic

    def add(self, entries: Sequence[Spooled]) -> None:
        """Keep records, all or none; they are on disk on return."""
        now = int(time.time() * 1000)
        rows = [(now, _REASON, self._topic, len(entry.record.value), encode(entry.record)) for entry in entries]
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._connected() as connection:
            connection.execute("pragma synchronous = full")
            connection.execute(_SET_UP)
            connection.executemany(_INSERT, rows)

    def count(self) -> int:
        """Return how many records are kept."""
        if not self._path.exists():
            return 0
        with self._connected() as connection:
            connection.execute(_SET_UP)
            return int(connection.execute(_COUNT, (self._topic,)).fetchone()[0])

    @contextlib.contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self._path, timeout=LOCK_SECONDS)
        try:
            with connection:
                yield connection
        finally:
            connection.close()
