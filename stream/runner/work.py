"""What a stage is to its partitions."""

from __future__ import annotations

from typing import Protocol

from stream.runner.chunk import Chunk


class PartitionWork(Protocol):
    """The work on one partition of one topic, as long as this process owns it.

    The calls come one after another, never two at once: `open`, then `process` for each chunk, then
    `close`. When `open` or `process` raises, the work is closed and opened again after a while, and
    goes on from the offset that `open` returns then.
    """

    async def open(self) -> int:
        """Take the partition over and return the offset to go on from, as the results stored so far tell."""

    async def process(self, chunk: Chunk) -> None:
        """Turn a chunk into stored results and advance the stored position to its end: all of it, or nothing.

        Raises PositionMoved when the position is not where this work left it.
        """

    async def close(self) -> None:
        """Let go of what was opened. Never raises, and may be called twice."""


class PositionMoved(Exception):
    """Somebody else advanced or reset this partition's stored position; the work has to be opened anew."""
