"""Records set aside: spooled events that the topic does not take, kept in one small database of all gateways.

The file is SQLite with ordinary locks, so that several processes, and people, can read and write it.
"""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from gateway.outgoing import OutgoingRecord
from gateway.spool.record import Spooled, decode, encode

FILE_NAME = "refused.sqlite"
LOCK_SECONDS = 5.0

_SET_UP = """
    create table if not exists refused (
        id integer primary key, refused_at integer not null, reason text not null, topic text not null,
        size integer not null, record blob not null
    )
"""
_COLUMNS = "select name from pragma_table_info('refused')"
_ADD_TRIED_AT = "alter table refused add column tried_at integer"
_INSERT = """
    insert into refused (refused_at, reason, topic, size, record)
    select :now, :reason, :topic, :size, :record
    where not exists (select 1 from refused where topic = :topic and size = :size and record = :record)
"""
_COUNT = "select count(*) from refused where topic = ?"
_COUNTS = "select topic, count(*) from refused group by topic order by topic"
_SELECT = "select id, refused_at, reason, tried_at, record from refused where topic = ? and id > ? order by id limit ?"
_TRY = "update refused set tried_at = ? where id = ?"
_DELETE = "delete from refused where id = ?"
_REASON = "larger than the topic's max.message.bytes"


class RefusedRecord(NamedTuple):
    """A record that was set aside; times in milliseconds since 1970.

    `tried_at`: it was sent again then, and Kafka's answer is not known; None: Kafka does not have it.
    """

    id: int
    refused_at: int
    reason: str
    tried_at: int | None
    record: OutgoingRecord


class RefusedRecords:
    """The records that one topic refused; `record` in the file is the msgpack of key, value, headers, timestamp.

    Methods raise sqlite3.Error or OSError.
    """

    def __init__(self, directory: Path, topic: str) -> None:
        self._path = directory / FILE_NAME
        self._topic = topic

    def add(self, entries: Sequence[Spooled]) -> None:
        """Keep records, all or none; they are on disk on return. One that is kept already is not kept twice."""
        now = _now()
        rows = [
            {
                "now": now,
                "reason": _REASON,
                "topic": self._topic,
                "size": len(entry.record.value),
                "record": encode(entry.record),
            }
            for entry in entries
        ]
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _connected(self._path) as connection:
            connection.executemany(_INSERT, rows)

    def count(self) -> int:
        """Return how many records are kept."""
        if not self._path.exists():
            return 0
        with _connected(self._path) as connection:
            return int(connection.execute(_COUNT, (self._topic,)).fetchone()[0])

    def read(self, after: int, most: int) -> list[RefusedRecord]:
        """Return the records with an id above `after`, in the order they were set aside, at most so many."""
        if not self._path.exists():
            return []
        with _connected(self._path) as connection:
            rows = connection.execute(_SELECT, (self._topic, after, most)).fetchall()
        return [RefusedRecord(id_, at, why, tried, decode(blob)) for id_, at, why, tried, blob in rows]

    def note_tries(self, ids: Sequence[int]) -> None:
        """Note that records are about to be sent; that is on disk on return."""
        with _connected(self._path) as connection:
            connection.executemany(_TRY, [(_now(), id_) for id_ in ids])

    def note_refusal(self, id_: int) -> None:
        """Note that Kafka refused a record again."""
        with _connected(self._path) as connection:
            connection.execute(_TRY, (None, id_))

    def remove(self, ids: Sequence[int]) -> None:
        """Remove records that Kafka has; that is on disk on return."""
        with _connected(self._path) as connection:
            connection.executemany(_DELETE, [(id_,) for id_ in ids])


def count_refused(directory: Path) -> dict[str, int]:
    """Return how many records are kept in a directory, by topic. Raises sqlite3.Error or OSError."""
    path = directory / FILE_NAME
    if not path.exists():
        return {}
    with _connected(path) as connection:
        return dict(connection.execute(_COUNTS).fetchall())


@contextlib.contextmanager
def _connected(path: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(path, timeout=LOCK_SECONDS)
    try:
        connection.execute("pragma synchronous = full")
        if "tried_at" not in [name for (name,) in connection.execute(_COLUMNS)]:
            _set_up(connection)
        with connection:
            yield connection
    finally:
        connection.close()


def _set_up(connection: sqlite3.Connection) -> None:
    """Make the table, or add what a file of an earlier version lacks; another process may do so at the same time."""
    connection.execute("begin immediate")
    with connection:
        connection.execute(_SET_UP)
        if "tried_at" not in [name for (name,) in connection.execute(_COLUMNS)]:
            connection.execute(_ADD_TRIED_AT)


def _now() -> int:
    return int(time.time() * 1000)
