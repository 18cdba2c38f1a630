"""The queue on disk: one SQLite file, which several processes may share.

An event is committed before `put` returns, so that it survives SIGKILL of its process; what SQLite had not yet
synced is lost when the machine itself loses power. What a process took is leased to it for a while: when it dies,
another process takes these events once the lease has ended. Each event has its event_id, so that one that is
sent twice is stored once.
"""

from __future__ import annotations

import json
import logging
import os
import random
import sqlite3
import threading
import time
from collections.abc import Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from eye_client.queues.queue import Entry, fitting

if TYPE_CHECKING:
    from collections.abc import Iterator

log = logging.getLogger(__name__)

VERSION = 1
"""Of the tables within the file."""

BUSY_SECONDS = 0.25
"""Longest that an event waits for another process that writes."""

REST_SECONDS = 1.0
"""Time for which a disk that refused an event is not tried again: events go to memory at once."""

TOLD_SECONDS = 60.0
"""The log tells of a disk that fails at most this often."""

_PAGE_BYTES = 2048
_LONG_LOG = 32_000_000
_LONGEST_LOG = 256_000_000

_TABLES = f"""
create table if not exists events (place integer primary key, body blob not null);
create table if not exists leases (id integer primary key, first_place integer not null, last_place integer not null,
                                   until real not null);
pragma user_version = {VERSION};
"""
_PUT = "insert into events (place, body) values (?, ?)"
_WAITING = """
select place, body from events
where not exists (select 1 from leases
                  where place between first_place and last_place and until > ? and until <= ?)
order by place
limit ?
"""
_LEASE = "insert into leases (id, first_place, last_place, until) values (?, ?, ?, ?)"
_RELEASE = "delete from leases where id = ? or until <= ? or until > ?"
_SETTLE = "delete from events where place in (select value from json_each(?))"


class DiskQueue:
    """Events in a file, at most `max_bytes` of them.

    Raises nothing: where the disk does not do its part, `put` returns False and `take` returns what it can.
    `lease`: seconds for which nobody else takes what was taken.
    """

    def __init__(self, path: str | os.PathLike[str], max_bytes: int, lease: float) -> None:
        self._path = Path(path)
        self._max_pages = max(64, max_bytes // _PAGE_BYTES)
        self._lease = lease
        self._lock = threading.RLock()
        self._connection: sqlite3.Connection | None = None
        self._resting_until = 0.0
        self._told_at = float("-inf")
        self._is_suspect = False
        self._leased: int | None = None
        self._settled: set[int] = set()

    def put(self, body: bytes) -> bool:
        """Commit an event; False where the disk, or the bound, has no room for it."""
        with self._lock:
            if self._resting_until and time.monotonic() < self._resting_until:
                return False
            try:
                self._insert(body)
            except (sqlite3.Error, OSError) as error:
                self._resting_until = time.monotonic() + REST_SECONDS
                self._failed("events wait in memory instead", error)
                return False
            self._resting_until = 0.0
            return True

    def take(self, events: int, size: int) -> list[Entry]:
        """Lend the oldest events that nobody has leased, up to so many and to so many bytes, one at least."""
        with self._lock:
            try:
                self._forget_settled()
                if not self._waiting(self._open(), 1, 0):
                    return []
                return self._lend(events, size)
            except (sqlite3.Error, OSError) as error:
                self._failed("events are sent without a lease", error)
            try:  # a full disk can still be read, and gets room by what is settled
                return self._waiting(self._open(), events, size)
            except (sqlite3.Error, OSError):
                return []

    def end(self, settled: Sequence[Entry], again: Sequence[Entry]) -> None:
        """End the lease of the last `take`, and delete what is settled.

        Where the disk refuses that, settled events are not taken again, and deleted later.
        """
        with self._lock:
            self._settled.update(entry.place for entry in settled)
            try:
                self._forget_settled()
            except (sqlite3.Error, OSError) as error:
                self._failed("delivered events are deleted later", error)
        self._shorten_log()

    def __len__(self) -> int:
        """Return how many events are in the file, whoever has leased them; 0 where it can't be read."""
        with self._lock, suppress(sqlite3.Error, OSError):
            (count,) = self._open().execute("select count(*) from events").fetchone()
            return int(count) - len(self._settled)
        return 0

    @property
    def has_waiting(self) -> bool:
        """Return whether there is an event that nobody has leased."""
        with self._lock, suppress(sqlite3.Error, OSError):
            return bool(self._waiting(self._open(), 1, 0))
        return False

    def close(self) -> None:
        """Close the file. The next call opens it again: so nothing is open across a fork."""
        with self._lock:
            if self._connection is not None:
                with suppress(sqlite3.Error):
                    self._connection.close()
                self._connection = None

    def before_fork(self) -> None:
        """Close the file, and keep others from it until `after_fork`: SQLite's connections stay in their process."""
        self._lock.acquire()
        self.close()

    def after_fork(self) -> None:
        """Let the parent of the fork go on."""
        self._lock.release()

    def _insert(self, body: bytes) -> None:
        connection = self._open()
        while True:
            try:
                connection.execute(_PUT, (_place(), body))
                return
            except sqlite3.IntegrityError:  # another process chose the same place
                continue

    def _lend(self, events: int, size: int) -> list[Entry]:
        with self._transaction() as connection:
            taken = self._waiting(connection, events, size)
            if taken:
                lease, until = random.getrandbits(62), time.time() + self._lease
                connection.execute(_LEASE, (lease, taken[0].place, taken[-1].place, until))
        if taken:
            self._leased = lease
        return taken

    def _waiting(self, connection: sqlite3.Connection, events: int, size: int) -> list[Entry]:
        """Return the oldest events without a lease. One whose end is too far away is of a clock that was set back."""
        now = time.time()
        limit = events + len(self._settled)
        rows = connection.execute(_WAITING, (now, now + self._lease, limit))
        found = [Entry(place, body) for place, body in rows if place not in self._settled][:events]
        return found[: fitting(found, size)]

    def _forget_settled(self) -> None:
        """Delete what is settled, with the lease of it and leases that have ended."""
        if not self._settled and self._leased is None:
            return
        now = time.time()
        with self._transaction() as connection:
            connection.execute(_SETTLE, (json.dumps(list(self._settled)),))
            connection.execute(_RELEASE, (self._leased, now, now + self._lease))
        self._settled.clear()
        self._leased = None

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        connection = self._open()
        connection.execute("begin immediate")
        try:
            yield connection
            connection.execute("commit")
        except BaseException:
            with suppress(sqlite3.Error):
                connection.execute("rollback")
            raise

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            try:
                self._connection = _connect(self._path, self._max_pages, is_suspect=self._is_suspect)
            except sqlite3.OperationalError:
                raise
            except sqlite3.DatabaseError as error:
                self._set_aside(error)
                self._connection = _connect(self._path, self._max_pages)
            self._is_suspect = False
        return self._connection

    def _failed(self, consequence: str, error: Exception) -> None:
        now = time.monotonic()
        if now >= self._told_at + TOLD_SECONDS:
            log.warning("the queue %s does not do its part (%s): %s", self._path, error, consequence)
            self._told_at = now
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
            self._is_suspect = True
            self.close()  # opening it again looks whether it is damaged

    def _set_aside(self, error: Exception) -> None:
        """Keep a file that is no queue under another name."""
        damaged = self._path.with_name(f"{self._path.name}.damaged-{time.time_ns()}")
        log.error("%s is no queue (%s): it is kept as %s, and a new one begun", self._path, error, damaged)
        self._path.replace(damaged)
        for ending in ("-wal", "-shm"):
            with suppress(FileNotFoundError):
                Path(f"{self._path}{ending}").replace(f"{damaged}{ending}")

    def _shorten_log(self) -> None:
        """Bring SQLite's log into its file, which may sync the disk: on a connection that no `put` waits for."""
        with suppress(sqlite3.Error, OSError):
            length = os.path.getsize(f"{self._path}-wal")
            if length > _LONG_LOG:
                kind = "passive" if length < _LONGEST_LOG else "truncate"
                with closing(sqlite3.connect(self._path, timeout=BUSY_SECONDS)) as connection:
                    connection.execute(f"pragma wal_checkpoint({kind})")


def _place() -> int:
    """Return a place behind those of before: microseconds and chance, as no place may ever be used again."""
    return (time.time_ns() // 1000) << 12 | random.getrandbits(12)


def _connect(path: Path, max_pages: int, *, is_suspect: bool = False) -> sqlite3.Connection:
    """Open the file for reading and writing, for its owner alone; a suspect one is read in full.

    Raises sqlite3.OperationalError and OSError where it can't be opened now, DatabaseError where it is no queue.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        (version,) = connection.execute("pragma user_version").fetchone()
        if version > VERSION:
            raise sqlite3.OperationalError(f"a newer eye_client made it: version {version} of its tables")
        connection.execute(f"pragma page_size = {_PAGE_BYTES}")  # of a new file
        connection.execute("pragma journal_mode = wal")
        connection.execute("pragma synchronous = normal")
        connection.execute("pragma wal_autocheckpoint = 0")  # `_shorten_log` does it
        connection.execute(f"pragma max_page_count = {max_pages}")
        if version < VERSION:
            connection.executescript(_TABLES)
        if is_suspect and connection.execute("pragma quick_check(1)").fetchone() != ("ok",):
            raise sqlite3.DatabaseError("its pages are damaged")
        connection.execute(_WAITING, (0, 0, 1)).fetchall()
    except BaseException:
        connection.close()
        raise
    return connection
