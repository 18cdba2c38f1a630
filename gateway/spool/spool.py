"""The spool: a bounded queue on disk for records that Kafka does not take now.

Many requests, one fsync: all that arrives while a commit is under way goes into the next one. All work on the
disk runs in one thread. A record is pending, leased to a sender, or delivered; one that the topic refuses is set aside.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from gateway.metrics import Metrics
from gateway.spool.record import Spooled
from gateway.spool.refused import RefusedRecords
from gateway.spool.segments import Cursor, Depth, Piece, Segments
from schemas.settings import Settings
from schemas.topics import topic_names

log = logging.getLogger(__name__)

T = TypeVar("T")

ERROR_SECONDS = 5.0
"""Time after a failed write for which the spool reports it, unless a later one succeeds."""

LONG_SECONDS = 60.0
"""A record that waits for longer than this is worth a remark."""


class _Group:
    """The work of one commit; `done` tells whether the entries were written."""

    def __init__(self) -> None:
        self.entries: list[Spooled] = []
        self.bytes = 0
        self.removals: list[Spooled] = []
        self.releases: list[Spooled] = []
        self.refused: list[Spooled] = []
        self.done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()


class Spool:
    """Keeps records on disk, in files of `spool_max_bytes` in all; to be used between `start` and `stop`.

    `enabled`: it takes records at all; those that it has are drained in any case. `refused` counts the records that
    were set aside, of all gateways with this directory.
    """

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._max_bytes = settings.spool_max_bytes
        self.enabled = self._max_bytes > 0
        topic = topic_names(settings).raw
        self._files = Segments(settings.spool_directory, topic)
        self._refused_records = RefusedRecords(settings.spool_directory, topic)
        self._metrics = metrics
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spool")
        self._next: _Group | None = None
        self._committing: _Group | None = None
        self._task: asyncio.Task[None] | None = None
        self._depth = Depth()
        self._unremoved: list[Spooled] = []
        self._not_set_aside: list[Spooled] = []
        self.refused = 0
        self._failed_at: float | None = None
        self._failure = ""
        metrics.spool_records.set_function(lambda: self.records)
        metrics.spool_bytes.set_function(lambda: self.bytes)
        metrics.spool_limit_bytes.set(self._max_bytes)
        metrics.spool_refused.set_function(lambda: self.refused)
        metrics.spool_damaged.set_function(lambda: self.damaged)
        metrics.spool_oldest_seconds.set_function(lambda: self.oldest_seconds)

    @property
    def records(self) -> int:
        """The number of its records, those on their way in included."""
        return self._depth.records + sum(len(group.entries) for group in self._groups())

    @property
    def bytes(self) -> int:
        """The bytes it takes; they are freed file by file."""
        return self._depth.bytes + sum(group.bytes for group in self._groups())

    @property
    def damaged(self) -> int:
        """The number of records found since the start that can't be read any more."""
        return self._depth.damaged

    @property
    def oldest_seconds(self) -> float:
        """The age of the oldest record in seconds; 0 where there is none."""
        return max(0.0, time.time() - self._depth.oldest / 1000) if self._depth.oldest is not None else 0.0

    @property
    def fault(self) -> str | None:
        """The reason for which it takes no records, in a sentence; None when it takes them."""
        if not self.enabled:
            return "the spool is off (EYE_SPOOL_MAX_BYTES is 0)"
        if self._failed_at is not None and time.monotonic() - self._failed_at < ERROR_SECONDS:
            return f"the spool can't be written: {self._failure}"
        if self.bytes >= self._max_bytes:
            return f"the spool is full: {self.bytes} of {self._max_bytes} bytes"
        return None

    @property
    def remark(self) -> str | None:
        """A fault of single records, in a sentence: some wait for long, or were set aside; None where there is none."""
        if self.refused:
            return (
                f"{self.refused} events are set aside in refused.sqlite: the topic takes no record of their size "
                "(raise its max.message.bytes)"
            )
        if self.oldest_seconds > LONG_SECONDS:
            return f"{self.records} events wait for Kafka, the oldest for {self.oldest_seconds:.0f} s"
        return None

    async def start(self) -> None:
        """Adopt the files that dead processes left."""
        await self.adopt()

    async def stop(self) -> None:
        """Finish what is to be written or noted, and leave the rest to the next process."""
        await self.settled()
        await self._in_thread(self._files.close)
        self._thread.shutdown()

    async def adopt(self) -> int:
        """Adopt the files of processes that have died since; returns the number of their records.

        To be called every few seconds: a note that failed to be written is tried again as well.
        """
        if self._unremoved or self._not_set_aside:
            self._group()
        try:
            found = await self._in_thread(self._files.adopt)
            self._depth = await self._in_thread(self._files.depth)
            self.refused = await self._in_thread(self._refused_records.count)
        except (sqlite3.Error, OSError) as error:
            log.error("looking for spools left behind failed: %s", error)
            return 0
        return found

    def append(self, entries: Sequence[Spooled]) -> tuple[int, asyncio.Future[bool]]:
        """Begin to write records behind all others.

        Returns how many of them there is room for, in their order, and a future that tells whether those are
        on disk. It never raises.
        """
        group = self._group()
        room = self._max_bytes - self.bytes
        taken = 0
        for entry in entries:
            if entry.size > room:
                break
            room -= entry.size
            group.bytes += entry.size
            taken += 1
        group.entries += entries[:taken]
        return taken, group.done

    def remove(self, entries: Sequence[Spooled]) -> None:
        """Begin to note that leased records are delivered. They are not read again."""
        if entries:
            self._group().removals += entries

    def set_aside(self, entry: Spooled) -> None:
        """Begin to set a leased record aside that the topic does not take: it stays on disk, read no more."""
        self._group().refused.append(entry)

    def release(self, entries: Sequence[Spooled]) -> None:
        """Make leased records pending again, once it is settled."""
        if entries:
            self._group().releases += entries

    async def settled(self) -> None:
        """Wait until all work that was begun is done, or has failed."""
        group = self._next or self._committing
        if group is not None:
            await group.done

    async def read(self, cursor: Cursor, partition: int, partitions: int, most_bytes: int) -> Piece:
        """Lease the oldest pending records of a partition behind the cursor. Raises sqlite3.Error or OSError.

        There may be none here and more behind.
        """
        return await self._in_thread(lambda: self._files.read(cursor, partition, partitions, most_bytes))

    def _group(self) -> _Group:
        """Return the group of the next commit, which comes by itself."""
        if self._next is None:
            self._next = _Group()
            self._next.removals, self._unremoved = self._unremoved, []
            self._next.refused, self._not_set_aside = self._not_set_aside, []
        if self._task is None:
            self._task = asyncio.create_task(self._commit_groups(), name="spool")
        return self._next

    def _groups(self) -> list[_Group]:
        return [group for group in (self._committing, self._next) if group is not None]

    async def _commit_groups(self) -> None:
        while self._next is not None:
            group, self._next = self._next, None
            self._committing = group
            written, depth = await self._in_thread(partial(self._commit, group))
            self._committing, self._depth = None, depth
            group.done.set_result(written)
        self._task = None

    def _commit(self, group: _Group) -> tuple[bool, Depth]:
        """Write first: a record to be removed may be among the new ones. Runs in the thread."""
        written = self._attempt(self._files.append, group.entries)
        if written:
            self._metrics.spooled.inc(len(group.entries))
        removals = [entry for entry in group.removals if entry.segment is not None]
        if self._attempt(self._files.remove, removals):
            self._metrics.drained.inc(len(removals))
        else:
            self._unremoved = removals
        if not self._attempt(self._set_aside, group.refused):
            self._not_set_aside = group.refused
        self._files.release(group.releases)
        try:
            return written, self._files.depth()
        except sqlite3.Error:
            return written, self._depth

    def _set_aside(self, entries: list[Spooled]) -> None:
        """Keep records that were refused, and take them out of the queue. Runs in the thread."""
        written = [entry for entry in entries if entry.segment is not None]
        self._refused_records.add(written)
        self._files.remove(written)
        self.refused = self._refused_records.count()

    def _attempt(self, act: Callable[[list[Spooled]], None], entries: list[Spooled]) -> bool:
        if not entries:
            return True
        started = time.perf_counter()
        try:
            act(entries)
        except Exception as error:
            self._metrics.spool_write_errors.inc()
            if self._failed_at is None:
                log.error("the spool can't be written: %s", error)
            self._failed_at, self._failure = time.monotonic(), str(error)
            return False
        self._metrics.spool_commit_seconds.observe(time.perf_counter() - started)
        self._failed_at = None
        return True

    async def _in_thread(self, act: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, act)
