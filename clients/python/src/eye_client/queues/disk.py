"""The queue on disk: a directory of journals, which several processes may share.

An event is written before `put` returns, so that it survives SIGKILL of its process; what the system had not yet
synced is lost when the machine itself loses power. Each process writes journals of its own, and holds them by a lock
that ends with it: when it dies, another process delivers what it left, at once. Each event has its event_id, so that
one that is sent twice is stored once.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from eye_client.queues.journal import SUFFIX, Journal, count_waiting, record_of
from eye_client.queues.queue import Entry

log = logging.getLogger(__name__)

REST_SECONDS = 1.0
"""Time for which a disk that refused an event is not tried again: events go to memory at once."""

LOOK_SECONDS = 1.0
"""Pause between a busy process's looks for journals that others left behind."""

TOLD_SECONDS = 60.0
"""The log tells of a disk that fails at most this often."""

_JOURNAL_BYTES = 4_000_000


class DiskQueue:
    """Events in a directory, at most about `max_bytes` of them.

    Raises nothing: where the disk does not do its part, `put` returns False and `take` returns what it can.
    """

    def __init__(self, directory: str | os.PathLike[str], max_bytes: int) -> None:
        self._directory = Path(directory)
        self._max_bytes = max_bytes
        self._journal_bytes = min(_JOURNAL_BYTES, max_bytes // 4)
        self._taking = threading.RLock()  # before `_lock`, where both are needed
        self._lock = threading.RLock()  # a signal's handler may send while its thread is in here
        self._journals: list[Journal] = []
        self._writing: Journal | None = None
        self._lent: Journal | None = None
        self._is_closed = False
        self._held_bytes = 0
        self._others_bytes = 0
        self._looked_at = float("-inf")
        self._resting_until = 0.0
        self._told_at = float("-inf")

    def put(self, body: bytes) -> bool:
        """Write an event; False where the disk, or the bound, has no room for it."""
        if self._resting_until and time.monotonic() < self._resting_until:
            return False
        record = record_of(body)
        with self._lock:
            if self._held_bytes + self._others_bytes + len(record) > self._max_bytes:
                self._failed("events wait in memory", "it has as many bytes as it may")
                return False
            try:
                writing = self._writing
                if writing is None or writing.size >= self._journal_bytes:
                    writing = self._begin_journal()
                writing.append(record)
            except OSError as error:
                self._writing = None  # a part of the event may stand at its end
                self._resting_until = time.monotonic() + REST_SECONDS
                self._failed("events wait in memory", error)
                return False
            self._held_bytes += len(record)
            self._resting_until = 0.0
        return True

    def take(self, events: int, size: int) -> list[Entry]:
        """Lend the oldest events, up to so many and to so many bytes, one at least; empty where none waits."""
        with self._taking:
            self._lent = None
            if self._is_closed:
                return []
            if time.monotonic() >= self._looked_at + LOOK_SECONDS:
                self._adopt()
            while True:
                for journal in tuple(self._journals):
                    if found := self._take_from(journal, events, size):
                        self._lent = journal
                        return found
                if not self._adopt():
                    return []

    def end(self, settled: Sequence[Entry], again: Sequence[Entry]) -> None:
        """End the last `take`: what is settled is not taken again, by whichever process."""
        with self._taking:
            journal, self._lent = self._lent, None
            if journal is None:  # closed meanwhile
                return
            try:
                journal.end(again)
            except OSError as error:
                self._failed("delivered events may be sent again by the next process", error)

    def __len__(self) -> int:
        """Return how many events are in the directory, whichever process holds them; 0 where it can't be read."""
        count = 0
        for path in self._paths():
            with suppress(OSError):
                count += count_waiting(path)
        return count

    @property
    def has_waiting(self) -> bool:
        """Return whether there is an event that this process may take."""
        with self._taking, suppress(OSError):
            if not self._is_closed:
                return any(journal.has_waiting for journal in tuple(self._journals)) or self._adopt()
        return False

    def close(self) -> None:
        """Take no more, and let other processes have what is left."""
        with self._taking, self._lock:
            self._is_closed = True
            for journal in self._journals:
                with suppress(OSError):
                    if not journal.has_waiting:
                        journal.remove()
            self.leave()

    def before_fork(self) -> None:
        """Let nobody be in the middle of something while the process is copied."""
        self._taking.acquire()
        self._lock.acquire()

    def after_fork(self) -> None:
        """Let the parent of the fork go on."""
        self._lock.release()
        self._taking.release()

    def leave(self) -> None:
        """Close the files. In the child of a fork the parent still holds them."""
        for journal in self._journals:
            with suppress(OSError):
                journal.close()
        self._journals, self._writing, self._lent, self._held_bytes = [], None, None, 0

    def _begin_journal(self) -> Journal:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        journal = Journal.create(self._directory)
        self._held_bytes += journal.size
        self._journals.append(journal)
        self._writing = journal
        return journal

    def _take_from(self, journal: Journal, events: int, size: int) -> list[Entry]:
        """Lend from one journal; one that has nothing to give is removed: so nothing stays of what was delivered."""
        try:
            found = journal.take(events, size)
            if not found:
                self._retire(journal)
            return found
        except OSError as error:
            self._failed("its events wait until it can be read", error)
            return []

    def _retire(self, journal: Journal) -> None:
        with self._lock:
            if journal.take(1, 1):  # that came meanwhile
                return
            if journal is self._writing:
                self._writing = None
            self._journals.remove(journal)
            self._held_bytes -= journal.size
        if journal.damaged:
            log.error("%d events of %s can't be read: it is kept as .damaged", journal.damaged, journal.path)
        journal.remove()

    def _adopt(self) -> bool:
        """Hold the oldest journal that an ended process left with events in it; measure those that others hold."""
        self._looked_at = time.monotonic()
        held = {journal.path for journal in self._journals}
        adopted, others = False, 0
        for path in self._paths():
            if path in held:
                continue
            with suppress(OSError):
                if not adopted and self._adopt_one(path):
                    adopted = True
                else:
                    others += path.stat().st_size
        self._others_bytes = others
        return adopted

    def _adopt_one(self, path: Path) -> bool:
        journal = Journal.adopt(path)
        if journal is None:
            return False
        if not journal.has_waiting:
            journal.remove()
            return False
        with self._lock:
            older = sum(one.is_adopted and one.path < path for one in self._journals)
            self._journals.insert(older, journal)  # in the order of their writer, and before our own
            self._held_bytes += journal.size
        return True

    def _paths(self) -> Iterator[Path]:
        """Yield the journals of all processes, oldest first."""
        with suppress(OSError):
            yield from (self._directory / name for name in sorted(os.listdir(self._directory)) if name.endswith(SUFFIX))

    def _failed(self, consequence: str, error: object) -> None:
        now = time.monotonic()
        if now >= self._told_at + TOLD_SECONDS:
            log.warning("the queue %s does not do its part (%s): %s", self._directory, error, consequence)
            self._told_at = now
