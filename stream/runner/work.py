"""The work of a stage on one partition."""

from __future__ import annotations

from typing import Protocol

from stream.runner.chunk import Chunk


class PartitionWork(Protocol):
    """The work on one partition of one topic, while this process owns it.

    Calls never overlap: `open`, then `process` for each chunk, then `close`. When `open` or `process` raises, the work
    is closed, opened again after a pause, and continues from the offset that `open` returns then.
    """

    async def open(self) -> int:
        """Take the partition over; return the offset after the results stored so far."""

    async def process(self, chunk: Chunk) -> None:
        """Turn a chunk into stored results and advance the stored position to its end: all of it, or nothing.

        Raises PositionMoved when the position is not where this work left it.
        """

    async def close(self) -> None:
        """Release what was opened. Never raises; may be called twice."""


class PositionMoved(Exception):
    """Another owner moved this partition's stored position; the work has to be opened again."""


class BatchRefused(Exception):
    """A topic takes no batch of this size; the records are written in smaller ones at the next attempt."""


class RecordRefused(Exception):
    """A topic takes no record of this size, whose partition waits until it does.

    `limit` is its max.message.bytes, None where Kafka's user may not read it.
    """

    def __init__(self, topic: str, size: int, limit: int | None) -> None:
        known = f" ({limit:,})" if limit is not None else ""
        super().__init__(f"{topic} takes no record of {size:,} bytes: raise its max.message.bytes{known}")
        self.topic = topic
        self.size = size
        self.limit = limit
