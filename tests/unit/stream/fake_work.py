"""A fake of a stage's work, and partitions that use it."""

from __future__ import annotations

import asyncio

from faust.types import TP

from stream.runner.chunk import Chunk
from stream.runner.flow_control import FlowControl
from stream.runner.partitions import Partitions
from tests.support.builders import a_raw_record

TOPIC = "events.raw"
ONE, TWO = TP(TOPIC, 0), TP(TOPIC, 1)


class FakeWork:
    """A partition's work whose results are a list of chunks; each call is waited for by `called`.

    `troubles` holds what the next calls raise, `busy` keeps a call from ending.
    """

    def __init__(self) -> None:
        self.stored = 0
        self.processed: list[Chunk] = []
        self.troubles: dict[str, list[Exception]] = {"open": [], "process": []}
        self.busy: dict[str, asyncio.Event] = {}
        self.now = 0
        self._calls: asyncio.Queue[str] = asyncio.Queue()

    async def open(self) -> int:
        await self._call("open")
        return self.stored

    async def process(self, chunk: Chunk) -> None:
        await self._call("process")
        self.processed.append(chunk)
        self.stored = chunk.next_offset

    async def close(self) -> None:
        self._calls.put_nowait("close")

    async def _call(self, name: str) -> None:
        assert self.now == 0, "two calls at once"
        self.now += 1
        try:
            self._calls.put_nowait(name)
            if name in self.busy:
                await self.busy[name].wait()
            if self.troubles[name]:
                raise self.troubles[name].pop(0)
        finally:
            self.now -= 1

    async def called(self, *expected: str) -> None:
        """Wait for these calls, in this order and without others between."""
        async with asyncio.timeout(60):
            assert tuple([await self._calls.get() for _ in expected]) == expected

    @property
    def not_called(self) -> bool:
        return self._calls.empty()


class Bench:
    """Partitions with fake work, and what the consumer would do with them."""

    def __init__(self) -> None:
        self.flow_control = FlowControl()
        self.works = {ONE: FakeWork(), TWO: FakeWork()}
        self.partitions = Partitions(self.flow_control, lambda topic, partition: self.works[TP(topic, partition)])

    async def read_from(self, tp: TP = ONE) -> int:
        """Wait until a partition is to be read, and return from where."""
        async with asyncio.timeout(60):
            while tp not in (seeks := self.flow_control.take_seeks()):
                await self.flow_control.wait_for_change(1)
        self.flow_control.sought(tp, seeks[tp])
        return seeks[tp]

    def deliver(self, start: int, end: int, tp: TP = ONE) -> Chunk:
        """Deliver a chunk."""
        records = [a_raw_record(offset=offset, partition=tp.partition) for offset in range(start, end)]
        chunk = Chunk(tp.topic, tp.partition, start, end, records)
        if self.flow_control.position(tp) is not None:
            self.flow_control.advance(tp, end)
        self.partitions.deliver(chunk)
        return chunk

    async def begin(self, tp: TP = ONE) -> FakeWork:
        """Assign a partition, and wait until it is read."""
        self.partitions.start([tp])
        await self.works[tp].called("open")
        await self.read_from(tp)
        return self.works[tp]
