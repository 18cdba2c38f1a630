"""A segment of the spool: one file, a SQLite database of records that one process has for itself.

A record is pending until it is leased to a sender, and delivered once Kafka has acknowledged it.

The file only grows: deliveries are noted (deleting rows would write their pages once more), and it is deleted
when all of its records are delivered. In WAL mode with synchronous=FULL a commit is on disk when it returns, and a
torn tail is cut off at the last whole commit: SQLite's log has checksums. The database itself has none, so that each
record carries its own. SQLite's exclusive locking mode (fcntl) keeps every other process out until this one closes
the file, or ends.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import msgspec

from gateway.spool.record import ENTRY_BYTES, Spooled, checksum_of, decode, encode

log = logging.getLogger(__name__)

SCAN_RECORDS = 10_000
"""Records that one read looks at; appends wait for it."""

_SET_UP = """
    pragma locking_mode = exclusive;
    pragma journal_mode = wal;
    pragma synchronous = full;
    create table if not exists spool (
        id integer primary key, hash integer not null, timestamp integer not null,
        checksum integer not null, record blob not null
    );
    create table if not exists gone (ids blob not null, checksum integer not null);
    begin immediate;
    commit;
"""
_INSERT = "insert into spool (id, hash, timestamp, checksum, record) values (?, ?, ?, ?, ?)"
_INSERT_DELIVERED = "insert into gone (ids, checksum) values (?, ?)"
_SIZES = "select id, length(record) from spool order by id"
_DELIVERED = "select ids, checksum from gone"
_TIMESTAMP = "select timestamp from spool where id = ?"
_WINDOW = "select max(id) from (select id from spool where id > ? order by id limit ?)"
_READ = "select id, hash, checksum, record from spool where id > ? and id <= ? and hash % ? = ? order by id"

_decode_ids = msgspec.msgpack.Decoder(list[int]).decode

_Row = tuple[int, int, int, bytes]


class Segment:
    """Records in the order they came; made by `create` or `claim`. Its methods raise sqlite3.Error.

    `records` counts the records that are not delivered, `bytes` all that were written, `damaged` those that can't
    be read any more. To be used in one thread at a time.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.records = self.bytes = self.damaged = 0
        self._leased: set[int] = set()
        self._delivered = bytearray()  # a flag for each record; ids begin with 1
        self._connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
        try:
            self._connection.executescript(_SET_UP)
        except sqlite3.Error:
            self._connection.close()
            raise

    @classmethod
    def create(cls, path: Path) -> Self:
        """Make a file. Raises OSError as well."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = cls(path)
        if not made._is_there():  # before it was locked, another process took it for one left behind
            raise FileNotFoundError(f"{path} has gone")
        for directory in (path.parent, path.parent.parent):  # a power cut may take a name that was not synced
            _sync(directory)
        return made

    @classmethod
    def claim(cls, path: Path) -> Self | None:
        """Take a file over whose process has ended; None while another has it, or when it is deleted.

        A damaged file is read up to the damage.
        """
        if not path.exists():
            return None
        try:
            claimed = cls(path)
        except sqlite3.OperationalError as error:
            if error_code(error) == sqlite3.SQLITE_BUSY:
                return None
            raise
        if not claimed._is_there():
            return None
        claimed._count()
        return claimed

    def oldest(self) -> int | None:
        """Return the timestamp of the oldest record, in milliseconds since 1970."""
        row = self._connection.execute(_TIMESTAMP, (self._delivered_up_to() + 1,)).fetchone()
        return None if row is None else int(row[0])

    def append(self, entries: Sequence[Spooled]) -> None:
        """Write records, all or none; they are on disk on return."""
        encoded = [encode(entry.record) for entry in entries]
        numbered = list(enumerate(zip(entries, encoded, strict=True), self.end + 1))
        with self._transaction():
            self._connection.executemany(
                _INSERT,
                ((id_, e.hash, e.record.timestamp, checksum_of(e.hash, blob), blob) for id_, (e, blob) in numbered),
            )
        for id_, (entry, _) in numbered:
            entry.segment, entry.id = self.path, id_
            if entry.leased:
                self._leased.add(id_)
        self._delivered.extend(bytes(len(entries)))
        self.records += len(entries)
        self.bytes += sum(len(blob) + ENTRY_BYTES for blob in encoded)

    def remove(self, entries: Sequence[Spooled]) -> None:
        """Note that leased records are delivered; that is on disk on return."""
        blob = encode([entry.id for entry in entries])
        with self._transaction():
            self._connection.execute(_INSERT_DELIVERED, (blob, checksum_of(0, blob)))
        self.release(entries)
        self._note_delivered(entry.id for entry in entries)

    def release(self, entries: Iterable[Spooled]) -> None:
        """Make leased records pending again."""
        self._leased.difference_update(entry.id for entry in entries)

    @property
    def end(self) -> int:
        """The id of its last record."""
        return len(self._delivered)

    def read(self, after: int, partition: int, partitions: int, most_bytes: int) -> tuple[list[Spooled], int]:
        """Lease the oldest pending records of a partition behind id `after`.

        Returns them, and the id to go on behind. It looks at SCAN_RECORDS at most, those delivered at the beginning
        left out: there may be none in them and more behind.
        """
        after = max(after, self._delivered_up_to())
        until = self._window(after)
        if until is None:
            return [], self.end
        entries: list[Spooled] = []
        size = 0
        for id_, key_hash, checksum, blob in self._rows(after, until, partition, partitions):
            if id_ in self._leased or self._delivered[id_ - 1]:
                continue
            if checksum != checksum_of(key_hash, blob):
                self._damage(id_)
                continue
            entry = Spooled(decode(blob), key_hash, leased=True)
            entry.segment, entry.id = self.path, id_
            entries.append(entry)
            size += len(blob)
            if size >= most_bytes:
                until = id_
                break
        self._leased.update(entry.id for entry in entries)
        return entries, until

    def close(self) -> None:
        """Leave the file to whoever claims it next."""
        self._connection.close()

    def delete(self) -> None:
        """Close and delete the file; what was damaged is kept beside, under `.damaged`. Raises OSError."""
        if self.damaged:
            self._connection.close()
            log.error("%d records of %s can't be read any more; it is kept as .damaged", self.damaged, self.path)
            self.path.rename(self.path.with_suffix(".damaged"))
            return
        self.path.unlink(missing_ok=True)  # first: locked until then, nobody can take it for one left behind
        self._connection.close()
        self.path.with_name(f"{self.path.name}-wal").unlink(missing_ok=True)

    def _is_there(self) -> bool:
        """Tell whether the file that is locked now still has its name; it is closed when it has not."""
        if not self.path.exists():
            self._connection.close()
            return False
        return True

    def _count(self) -> None:
        try:
            for _, size in self._connection.execute(_SIZES):
                self._delivered.append(0)
                self.records += 1
                self.bytes += size + ENTRY_BYTES
            for blob, checksum in self._connection.execute(_DELIVERED):
                if checksum == checksum_of(0, blob):  # else they are sent once more
                    self._note_delivered(_decode_ids(blob))
        except sqlite3.DatabaseError as error:
            if error_code(error) != sqlite3.SQLITE_CORRUPT:
                raise
            log.error("%s is damaged: what stands behind its first %d records is lost", self.path, self.records)
            self.damaged += 1

    def _delivered_up_to(self) -> int:
        """Return the last id before the oldest record that is not delivered."""
        oldest = self._delivered.find(0)
        return self.end if oldest < 0 else oldest

    def _note_delivered(self, ids: Iterable[int]) -> None:
        for id_ in ids:
            self._delivered[id_ - 1] = 1
            self.records -= 1

    def _window(self, after: int) -> int | None:
        if after >= self.end:
            return None
        with _damage_seen() as seen:
            row = self._connection.execute(_WINDOW, (after, SCAN_RECORDS)).fetchone()
        return min(after + SCAN_RECORDS, self.end) if seen else row[0]

    def _rows(self, after: int, until: int, partition: int, partitions: int) -> Iterator[_Row]:
        """Yield records; where the database itself is damaged, those that can be read one by one."""
        last = after
        with _damage_seen() as seen:
            for row in self._connection.execute(_READ, (after, until, partitions, partition)):
                last = row[0]
                yield row
        if not seen:
            return
        for id_ in range(last + 1, until + 1):
            with _damage_seen() as seen:
                rows = self._connection.execute(_READ, (id_ - 1, id_, partitions, partition)).fetchall()
            if not seen:
                yield from rows
            elif not self._delivered[id_ - 1]:
                self._damage(id_)

    def _damage(self, id_: int) -> None:
        log.error("record %d of %s is damaged", id_, self.path)
        self._note_delivered([id_])
        self.damaged += 1

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("begin immediate")
        try:
            yield
            self._connection.execute("commit")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):  # some errors have rolled back already
                self._connection.execute("rollback")
            raise


def error_code(error: sqlite3.Error) -> int:
    """Return SQLite's primary result code; 0 for an error of Python's own."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _damage_seen() -> Iterator[list[Any]]:
    """Catch SQLite's word for a damaged database; the list is not empty then."""
    seen: list[Any] = []
    try:
        yield seen
    except sqlite3.DatabaseError as error:
        if error_code(error) != sqlite3.SQLITE_CORRUPT:
            raise
        seen.append(error)
