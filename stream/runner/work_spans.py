"""Enclose the work on a partition in spans, when tracing is on."""

from __future__ import annotations

from collections.abc import Callable

from schemas.record import TRACEPARENT
from schemas.spans import Spans
from stream.runner.chunk import Chunk
from stream.runner.work import PartitionWork

MAX_LINKS = 128
"""Most requests that the span of a chunk is linked to: the first ones."""

MakeWork = Callable[[str, int], PartitionWork]


def traced(make_work: MakeWork, spans: Spans | None) -> MakeWork:
    """Return a factory whose work encloses each chunk in a span; without `spans` the same factory."""
    if spans is None:
        return make_work
    return lambda topic, partition: TracedWork(make_work(topic, partition), spans)


class TracedWork(PartitionWork):
    """The work on one partition, with a span for each chunk."""

    def __init__(self, work: PartitionWork, spans: Spans) -> None:
        self._work, self._spans = work, spans

    async def open(self) -> int:
        """Open the work."""
        return await self._work.open()

    async def process(self, chunk: Chunk) -> None:
        """Process a chunk in a span of its own."""
        where = chunk.topic, chunk.partition, chunk.start, len(chunk.records)
        with self._spans.chunk(*where, _traceparents(chunk)):
            await self._work.process(chunk)

    async def close(self) -> None:
        """Close the work."""
        await self._work.close()


def _traceparents(chunk: Chunk) -> list[str]:
    """Return the first MAX_LINKS distinct traceparents of a chunk's records, in order."""
    found: dict[bytes, None] = {}
    for record in chunk.records:
        for name, value in record.headers:
            if name == TRACEPARENT and value is not None:
                found[value] = None
        if len(found) >= MAX_LINKS:
            break
    return [value.decode("ascii", "replace") for value in found]
