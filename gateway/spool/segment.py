"""One file of the spool: records in a SQLite database that one process has for itself.

It only grows: what was sent is noted (deleting rows would write their pages once more), and the file is deleted
when all of it was. In WAL mode with synchronous=FULL a commit is on disk when it returns, and a torn tail is cut
off at the last whole commit: SQLite's log has checksums. The database itself has none, so that each record
carries its own. SQLite's exclusive locking mode (fcntl) keeps every other process out until this one closes the
file, or ends.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import msgspec

from gateway.outgoing import OutgoingRecord

log = logging.getLogger(__name__)

SCAN_RECORDS = 10_000
"""How many records one read looks at; appends wait for it."""

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
_INSERT_GONE = "insert into gone (ids, checksum) values (?, ?)"
_SIZES = "select id, length(record) from spool order by id"
_GONE = "select ids, checksum from gone"
_TIMESTAMP = "select timestamp from spool where id = ?"
_WINDOW = "select max(id) from (select id from spool where id > ? order by id limit ?)"
_READ = "select id, hash, checksum, record from spool where id > ? and id <= ? and hash % ? = ? order by id"

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(OutgoingRecord).decode
_decode_ids = msgspec.msgpack.Decoder(list[int]).decode

ENTRY_BYTES = 64
"""Bytes an entry takes on disk apart from its record, roughly."""

_Row = tuple[int, int, int, bytes]


class Spooled:
    """A record in the spool; `hash` is Kafka's of its key. `file` and `id` say where it is, once it is there.

    `taken` at the start: somebody is sending it, so that it is not read until it is released.
    """

    __slots__ = ("file", "hash", "id", "record", "size", "taken")

    def __init__(self, record: OutgoingRecord, key_hash: int, *, taken: bool = False) -> None:
        self.record = record
        self.hash = key_hash
        self.taken = taken
        headers = sum(len(name) + len(value) for name, value in record.headers)
        self.size = ENTRY_BYTES + len(record.key) + len(record.value) + headers
        self.file: SpoolFile | None = None
        self.id = 0


class SpoolFile:
    """Records in the order they came; made by `create` or `claim`. Its methods raise sqlite3.Error.

    `records` counts what is there and not sent, `bytes` what the file was filled with, `damaged` what could not
    be read any more. To be used in one thread at a time.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.records = self.bytes = self.damaged = 0
        self._taken: set[int] = set()
        self._gone = bytearray()  # a flag for each record; ids begin with 1
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
        """Take a file over whose process has ended; None while another has it, or when it has gone.

        Of a damaged file there is what can be read up to the damage.
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
        row = self._connection.execute(_TIMESTAMP, (self._sent() + 1,)).fetchone()
        return None if row is None else int(row[0])

    def append(self, entries: Sequence[Spooled]) -> None:
        """Write records, all or none; they are on disk on return."""
        encoded = [_encode(entry.record) for entry in entries]
        numbered = list(enumerate(zip(entries, encoded, strict=True), self.end + 1))
        with self._transaction():
            self._connection.executemany(
                _INSERT,
                ((id_, e.hash, e.record.timestamp, _checksum(e.hash, blob), blob) for id_, (e, blob) in numbered),
            )
        for id_, (entry, _) in numbered:
            entry.file, entry.id = self, id_
            if entry.taken:
                self._taken.add(id_)
        self._gone.extend(bytes(len(entries)))
        self.records += len(entries)
        self.bytes += sum(len(blob) + ENTRY_BYTES for blob in encoded)

    def remove(self, entries: Sequence[Spooled]) -> None:
        """Note that records, which are taken, need not be sent any more; that is on disk on return."""
        blob = _encode([entry.id for entry in entries])
        with self._transaction():
            self._connection.execute(_INSERT_GONE, (blob, _checksum(0, blob)))
        self.release(entries)
        self._forget(entry.id for entry in entries)

    def release(self, entries: Iterable[Spooled]) -> None:
        """Let records that were taken be read again."""
        self._taken.difference_update(entry.id for entry in entries)

    @property
    def end(self) -> int:
        """The id of its last record."""
        return len(self._gone)

    def read(self, after: int, partition: int, partitions: int, most_bytes: int) -> tuple[list[Spooled], int]:
        """Take the oldest records of a partition behind id `after`.

        Returns them, and the id to go on behind. It looks at SCAN_RECORDS at most, those sent at the beginning
        left out: there may be none in them and more behind.
        """
        after = max(after, self._sent())
        until = self._window(after)
        if until is None:
            return [], self.end
        entries: list[Spooled] = []
        size = 0
        for id_, key_hash, checksum, blob in self._rows(after, until, partition, partitions):
            if id_ in self._taken or self._gone[id_ - 1]:
                continue
            if checksum != _checksum(key_hash, blob):
                self._damage(id_)
                continue
            entry = Spooled(_decode(blob), key_hash, taken=True)
            entry.file, entry.id = self, id_
            entries.append(entry)
            size += len(blob)
            if size >= most_bytes:
                until = id_
                break
        self._taken.update(entry.id for entry in entries)
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
        """Whether the file that is locked now still has its name; closed when it has not."""
        if not self.path.exists():
            self._connection.close()
            return False
        return True

    def _count(self) -> None:
        try:
            for _, size in self._connection.execute(_SIZES):
                self._gone.append(0)
                self.records += 1
                self.bytes += size + ENTRY_BYTES
            for blob, checksum in self._connection.execute(_GONE):
                if checksum == _checksum(0, blob):  # else they are sent again
                    self._forget(_decode_ids(blob))
        except sqlite3.DatabaseError as error:
            if error_code(error) != sqlite3.SQLITE_CORRUPT:
                raise
            log.error("%s is damaged: what stands behind its first %d records is lost", self.path, self.records)
            self.damaged += 1

    def _sent(self) -> int:
        """Return the last id before the oldest record that is to be sent."""
        oldest = self._gone.find(0)
        return self.end if oldest < 0 else oldest

    def _forget(self, ids: Iterable[int]) -> None:
        for id_ in ids:
            self._gone[id_ - 1] = 1
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
            elif not self._gone[id_ - 1]:
                self._damage(id_)

    def _damage(self, id_: int) -> None:
        log.error("record %d of %s is damaged", id_, self.path)
        self._forget([id_])
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


def _checksum(key_hash: int, blob: bytes) -> int:
    return zlib.crc32(blob, key_hash)
