"""The partitions that this process owns: one task for each keeps its work going."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from aiokafka import TopicPartition

from schemas.record import RawRecord, log_fields, place
from stream.runner.chunk import Chunk, split
from stream.runner.flow_control import FlowControl
from stream.runner.work import PartitionWork, PositionMoved, RecordRefused

log = logging.getLogger(__name__)

LETTING_GO_SECONDS = 8.0
"""Seconds that a revoked partition has to finish its chunk before it is cancelled; nothing is lost by that."""

_LOST_SECONDS = 10.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 10.0


@dataclass
class PartitionStatus:
    """The state of one partition; times are of the monotonic clock.

    `reached` is the timestamp of the current or the last record, in seconds since 1970; None when it is unknown or
    nothing is left to do. `refused`: it waits for a topic to take a record of this size.
    """

    position: int | None = None
    failures: int = 0
    error: str | None = None
    moved_at: float = field(default_factory=time.monotonic)
    reached: float | None = None
    stalled: bool = False
    refused: RecordRefused | None = None


class Partitions:
    """Open, feed and close the work on each assigned partition.

    A failure concerns its own partition only: the work is closed and opened again after a growing pause, the others
    go on. A chunk that fails again is split in halves until a record that always fails is alone: those before it are
    done, and the log names it.
    """

    def __init__(self, reading: FlowControl, make_work: Callable[[str, int], PartitionWork]) -> None:
        self._flow_control = reading
        self._make_work = make_work
        self._tasks: dict[TopicPartition, _PartitionTask] = {}

    def deliver(self, chunk: Chunk) -> None:
        """Queue a chunk for its partition's work; drop it when the partition is no longer owned."""
        task = self._tasks.get(TopicPartition(chunk.topic, chunk.partition))
        if task is not None:
            task.chunks.put_nowait(chunk)

    def start(self, tps: Iterable[TopicPartition]) -> None:
        """Start the work on newly assigned partitions."""
        for tp in tps:
            if tp not in self._tasks:
                self._tasks[tp] = _PartitionTask(tp, self._flow_control, self._make_work(tp.topic, tp.partition))

    async def stop(self, tps: Iterable[TopicPartition] | None = None) -> None:
        """Release partitions, by default all of them; each may finish its current chunk."""
        gone = [self._tasks.pop(tp) for tp in list(self._tasks if tps is None else tps) if tp in self._tasks]
        await asyncio.gather(*(task.stop() for task in gone))

    def ended(self) -> list[TopicPartition]:
        """Return the owned partitions whose task has ended; none should end by itself."""
        return [tp for tp, task in self._tasks.items() if task.done()]

    def status(self) -> dict[TopicPartition, PartitionStatus]:
        """Return the state of each owned partition."""
        return {tp: task.status for tp, task in self._tasks.items()}


class _PartitionTask:
    def __init__(self, tp: TopicPartition, reading: FlowControl, work: PartitionWork) -> None:
        self.tp = tp
        self.chunks: asyncio.Queue[Chunk | None] = asyncio.Queue()
        self.status = PartitionStatus()
        self._flow_control = reading
        self._work = work
        self._most: int | None = None
        self._stopping = False
        self._task = asyncio.create_task(self._run(), name=f"{tp.topic}:{tp.partition}")

    def done(self) -> bool:
        return self._task.done()

    async def stop(self) -> None:
        """Finish the current chunk, start no other; cancel it after LETTING_GO_SECONDS."""
        self._stopping = True
        self.chunks.put_nowait(None)
        _, unfinished = await asyncio.wait([self._task], timeout=LETTING_GO_SECONDS)
        if unfinished:
            log.warning("%s:%d is let go in the middle of a chunk", *self.tp, extra=place(*self.tp))
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while not self._stopping:
            try:
                await self._open_and_process()
            except PositionMoved as moved:
                log.info("%s:%d: %s", *self.tp, moved, extra=place(*self.tp))
            except Exception as error:
                self._note_failure(error)
            finally:
                self._flow_control.stop(self.tp)
                await self._work.close()
            if not self._stopping:
                await self._pause()

    async def _open_and_process(self) -> None:
        position = self.status.position = await self._work.open()
        self.status.error = None
        self._flow_control.start(self.tp, position)
        while not self._stopping and (chunk := await self._next_chunk(position)) is not None:
            if chunk.start == position:
                await self._process(chunk)
                position = chunk.next_offset
            elif chunk.start > position:  # what is between is still to be read
                self._flow_control.start(self.tp, position)
            self._flow_control.finished(self.tp)

    async def _process(self, chunk: Chunk) -> None:
        """Process a chunk; after two failures in parts of half its size, until one succeeds."""
        rest: Chunk | None = chunk
        while rest is not None and not self._stopping:
            part, rest = split(rest, self._most)
            self._note_reached(part.records[:1])
            try:
                await self._work.process(part)
            except PositionMoved:
                raise
            except Exception:
                if self.status.failures:
                    self._narrow(part)
                raise
            self._most = None
            self._note_reached(part.records[-1:])
            self._note_progress(part.next_offset)

    def _narrow(self, part: Chunk) -> None:
        self._most = max(len(part.records) // 2, 1)
        if len(part.records) == 1:
            failing = part.records[0]
            log.error(
                "%s:%d: the record at offset %d keeps failing",
                *self.tp,
                failing.offset,
                extra=log_fields(failing),
            )

    async def _next_chunk(self, position: int) -> Chunk | None:
        """Wait for a chunk; read again from the position when one got lost. Return None when stopping."""
        while True:
            try:
                async with asyncio.timeout(_LOST_SECONDS):
                    return await self.chunks.get()
            except TimeoutError:
                if self._flow_control.position(self.tp) not in (None, position):
                    self._flow_control.start(self.tp, position)

    def _note_reached(self, records: Sequence[RawRecord]) -> None:
        for record in records:
            self.status.reached = record.timestamp / 1000

    def _note_progress(self, position: int) -> None:
        if self.status.failures:
            log.info(
                "%s:%d works again, at offset %d",
                *self.tp,
                position,
                extra=place(self.tp.topic, self.tp.partition, position),
            )
        self.status.position, self.status.failures, self.status.error = position, 0, None
        self.status.moved_at, self.status.stalled, self.status.refused = time.monotonic(), False, None

    def _note_failure(self, error: Exception) -> None:
        self.status.failures += 1
        self.status.error = f"{type(error).__name__}: {error}"
        self.status.refused = error if isinstance(error, RecordRefused) else None
        log.warning(
            "%s:%d at offset %s failed, attempt %d: %s", *self.tp, self.status.position, self.status.failures,
            self.status.error, exc_info=log.isEnabledFor(logging.DEBUG) or self.status.failures == 1,
            extra=place(self.tp.topic, self.tp.partition, self.status.position),
        )  # fmt: skip

    async def _pause(self) -> None:
        """Wait before the next attempt: longer each time, with jitter; `stop` ends the wait."""
        longest = min(_FIRST_PAUSE * 2**self.status.failures, _LONGEST_PAUSE)
        deadline = asyncio.get_running_loop().time() + random.uniform(longest / 2, longest)
        with suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                while await self.chunks.get() is not None:
                    pass
