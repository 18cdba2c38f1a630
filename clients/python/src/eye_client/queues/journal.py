"""A journal: a file of events, to which one process appends, and from which it reads, or another one after its end.

The file begins with the place of its first event that is not settled, as twenty digits. Each event follows as a
newline, its CRC-32 as eight digits, a space, and its JSON. What a process did not finish to write fails its CRC, and
is passed over: nothing was said of it.
"""

from __future__ import annotations

import fcntl
import os
import random
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from zlib import crc32

from eye_client.queues.queue import Entry, fitting

SUFFIX = ".journal"
DAMAGED = ".damaged"

_HEAD = 20
_READ_BYTES = 65_536


class Journal:
    """A journal that this process holds: nobody else reads or removes it until it is closed, or the process ends.

    One thread at a time takes and settles. Every function raises OSError where the disk does not do its part.
    """

    def __init__(self, path: Path, file: int) -> None:
        self._file = file
        self._tail = -1
        self.path = path
        self.size = os.fstat(file).st_size
        self.damaged = 0
        """Events that can't be read."""
        self._read_to = self._settled_to()
        self._ahead: list[Entry] = []
        self._lent = 0

    @classmethod
    def create(cls, directory: Path) -> Journal:
        """Begin a journal, for its owner alone."""
        while True:
            path = directory / f"{time.time_ns():020d}-{os.getpid()}-{random.getrandbits(32):08x}{SUFFIX}"
            file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                if _hold(file):
                    break
            except OSError:
                path.unlink(missing_ok=True)
                raise
            # else somebody took it for one that was left behind, and removes it
        journal = cls(path, file)
        try:
            journal._write_head()
            journal._tail = os.open(path, os.O_WRONLY | os.O_APPEND)
        except OSError:
            journal.remove()
            raise
        journal.size = _HEAD
        return journal

    @classmethod
    def adopt(cls, path: Path) -> Journal | None:
        """Hold a journal that was left behind; None where somebody holds it, or it is gone."""
        try:
            file = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            return None
        return cls(path, file) if _hold(file) else None

    @property
    def is_adopted(self) -> bool:
        """Return whether another process wrote it."""
        return self._tail < 0

    def append(self, record: bytes) -> None:
        """Add what `record_of` returned. Any thread, and the handler of a signal within it, may do so.

        It is with the kernel when this returns, and so survives the process.
        """
        if os.write(self._tail, record) != len(record):
            raise OSError("there is no room for an event")
        self.size += len(record)

    @property
    def has_waiting(self) -> bool:
        """Return whether there is more than what was settled."""
        return bool(self._ahead) or os.fstat(self._file).st_size > self._read_to

    def take(self, events: int, size: int) -> list[Entry]:
        """Lend the oldest events that are not settled, up to so many and to so many bytes, one at least."""
        while not self._ahead:
            before = self._read_to
            self._read(max(size, _READ_BYTES))
            if self._read_to == before:
                break
        found = self._ahead[:events]
        self._lent = fitting(found, size)
        return found[: self._lent]

    def end(self, again: Sequence[Entry]) -> None:
        """End the last `take`: these events come again first, the others are settled."""
        self._ahead[: self._lent] = again
        self._lent = 0
        self._write_head()

    def close(self) -> None:
        """Let others have it. In the child of a fork: the parent still holds it."""
        for file in (self._file, self._tail):
            if file >= 0:
                os.close(file)
        self._file = self._tail = -1

    def remove(self) -> None:
        """Remove it, for all of it is settled; a damaged one is kept under another name."""
        with suppress(FileNotFoundError):
            if self.damaged:
                self.path.rename(self.path.with_suffix(DAMAGED))
            else:
                self.path.unlink()
        self.close()

    def __del__(self) -> None:
        """Let go of what was never closed."""
        self.close()

    def _read(self, size: int) -> None:
        data = os.pread(self._file, size, self._read_to)
        skipped, *pieces = data.split(b"\n")
        is_end = len(data) < size
        if not is_end:
            pieces = pieces[:-1]
            if not pieces:  # an event that is longer than all we read
                return self._read(2 * size)
        self.damaged += bool(skipped)
        place = self._read_to + len(skipped)
        for number, piece in enumerate(pieces, 1):
            body = _body_of(piece)
            if body is not None:
                self._ahead.append(Entry(place, body))
            elif is_end and number == len(pieces):  # being written, or never finished
                break
            else:
                self.damaged += 1
            place += 1 + len(piece)
        self._read_to = place
        return None

    def _write_head(self) -> None:
        os.pwrite(self._file, b"%020d" % (self._ahead[0].place if self._ahead else self._read_to), 0)

    def _settled_to(self) -> int:
        head = os.pread(self._file, _HEAD, 0)
        return max(_HEAD, int(head)) if len(head) == _HEAD and head.isdigit() else _HEAD


def record_of(body: bytes) -> bytes:
    """Return an event as it stands in a journal."""
    if b"\n" in body:  # between the values of a JSON that was given as it is
        body = body.replace(b"\n", b" ")
    return b"\n%08x %b" % (crc32(body), body)


def count_waiting(path: Path) -> int:
    """Return how many events of a journal, whoever holds it, are not settled."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
        file.seek(int(head) if head.isdigit() else _HEAD)
        count = 0
        while data := file.read(1 << 20):
            count += data.count(b"\n")
        return count


def _hold(file: int) -> bool:
    """Lock an open file, or close it: where another one has the lock, or somebody has removed the file meanwhile.

    Raises OSError, with the file closed, where no file can be locked.
    """
    held = False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        held = os.fstat(file).st_nlink > 0
    except BlockingIOError:
        pass
    finally:
        if not held:
            os.close(file)
    return held


def _body_of(piece: bytes) -> bytes | None:
    """Return the event of a piece between newlines, None where it is none."""
    body = piece[9:]
    return body if piece[:9] == b"%08x " % crc32(body) else None
