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
