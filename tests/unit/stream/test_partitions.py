"""The owned partitions: each kept going by itself, from where its work says, until it is let go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from faust.types import TP

from stream.runner.chunk import Chunk
from stream.runner.flow_control import FlowControl
from stream.runner.partitions import Partitions
from stream.runner.work import PositionMoved
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


@pytest.fixture(autouse=True)
def short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.runner.partitions._FIRST_PAUSE", 0.001)
    monkeypatch.setattr("stream.runner.partitions.LETTING_GO_SECONDS", 0.05)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    yield bench
    await bench.partitions.stop()


async def test_a_partition_is_read_from_where_its_work_says(bench: Bench) -> None:
    bench.works[ONE].stored = 17

    bench.partitions.start([ONE])

    assert await bench.read_from() == 17
    assert bench.partitions.status()[ONE].position == 17


async def test_nothing_is_read_before_the_work_is_open(bench: Bench) -> None:
    bench.works[ONE].busy["open"] = asyncio.Event()

    bench.partitions.start([ONE])
    await bench.works[ONE].called("open")

    assert bench.flow_control.take_seeks() == {}


async def test_chunks_are_processed_in_order(bench: Bench) -> None:
    work = await bench.begin()

    handed = [bench.deliver(0, 3), bench.deliver(3, 4), bench.deliver(4, 9)]
    await work.called("process", "process", "process")
    await bench.partitions.stop()

    assert work.processed == handed
    assert (work.stored, bench.flow_control.position(ONE)) == (9, None)


async def test_progress_makes_room_for_more_and_is_told(bench: Bench) -> None:
    work = await bench.begin()
    bench.deliver(0, 3)
    await work.called("process")

    async with asyncio.timeout(60):
        while not bench.flow_control.is_idle(ONE, 3):
            await bench.flow_control.wait_for_change(1)

    status = bench.partitions.status()[ONE]
    assert (status.position, status.failures, status.error) == (3, 0, None)


async def test_a_failing_chunk_is_read_again_from_where_the_work_opens_anew(bench: Bench) -> None:
    work = await bench.begin()
    work.troubles["process"] = [OSError("no answer")]
    bench.deliver(0, 3)
    await work.called("process", "close", "open")

    assert await bench.read_from() == 0

    again = bench.deliver(0, 5)
    await work.called("process")
    assert work.processed == [again]


async def test_a_chunk_that_was_stored_though_it_failed_is_not_read_again(bench: Bench) -> None:
    work = await bench.begin()
    work.troubles["process"] = [OSError("the answer was lost")]
    bench.deliver(0, 3)
    work.stored = 3

    await work.called("process", "close", "open")

    assert await bench.read_from() == 3


async def test_chunks_behind_a_failing_one_are_not_processed_out_of_turn(bench: Bench) -> None:
    work = await bench.begin()
    work.troubles["process"] = [OSError("no answer")]
    bench.deliver(0, 3)
    bench.deliver(3, 6)
    await work.called("process", "close", "open")
    await bench.read_from()

    bench.deliver(3, 6)
    bench.deliver(0, 3)
    await work.called("process")

    assert [chunk.start for chunk in work.processed] == [0]


class WorkThatNeverTakes(FakeWork):
    """A partition's work that fails for every chunk with a certain offset."""

    def __init__(self, poison: int) -> None:
        super().__init__()
        self.poison = poison
        self.tried: list[int] = []

    async def process(self, chunk: Chunk) -> None:
        self.tried.append(len(chunk.records))
        if any(record.offset == self.poison for record in chunk.records):
            raise OSError("refused")
        await super().process(chunk)


async def test_a_record_that_always_fails_ends_up_alone_and_is_named(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    work = bench.works[ONE] = WorkThatNeverTakes(poison=5)
    bench.partitions.start([ONE])

    while work.tried[-2:] != [1, 1]:
        position = await bench.read_from()
        bench.deliver(position, 8)

    assert [(chunk.start, chunk.next_offset) for chunk in work.processed] == [(0, 4), (4, 5)]
    assert "events.raw:0: the record at offset 5 keeps failing" in caplog.messages
    assert bench.partitions.status()[ONE].position == 5


async def test_once_it_works_again_a_chunk_is_processed_whole(bench: Bench) -> None:
    work = await bench.begin()
    work.troubles["process"] = [OSError("no answer")] * 2
    for _ in range(2):
        bench.deliver(0, 8)
        await work.called("process", "close", "open")
        await bench.read_from()

    bench.deliver(0, 8)
    await work.called("process", "process")
    bench.deliver(8, 16)
    await work.called("process")

    assert [(chunk.start, chunk.next_offset) for chunk in work.processed] == [(0, 4), (4, 8), (8, 16)]


async def test_failures_are_counted_and_named_until_it_works_again(bench: Bench) -> None:
    work = bench.works[ONE]
    work.troubles["open"] = [OSError("no answer"), OSError("still none")]

    bench.partitions.start([ONE])
    await work.called("open", "close", "open", "close", "open")
    status = bench.partitions.status()[ONE]
    assert status.failures == 2

    await bench.read_from()
    assert status.error is None
    bench.deliver(0, 3)
    await work.called("process")
    await bench.partitions.stop()
    assert (status.failures, status.error) == (0, None)


async def test_only_the_first_failure_is_logged_with_its_traceback(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    work = bench.works[ONE]
    work.troubles["open"] = [OSError("no answer"), OSError("no answer")]

    bench.partitions.start([ONE])
    await work.called("open", "close", "open", "close", "open")

    assert [bool(record.exc_info) for record in caplog.records] == [True, False]
    assert "events.raw:0 at offset None failed, attempt 2: OSError: no answer" in caplog.messages


async def test_a_moved_position_is_no_failure(bench: Bench) -> None:
    work = await bench.begin()
    work.troubles["process"] = [PositionMoved("at 7")]
    bench.deliver(0, 3)
    work.stored = 7

    await work.called("process", "close", "open")

    assert await bench.read_from() == 7
    assert bench.partitions.status()[ONE].failures == 0


async def test_a_chunk_beyond_the_position_makes_reading_go_back(bench: Bench) -> None:
    work = await bench.begin()

    bench.deliver(5, 8)

    assert await bench.read_from() == 0
    expected = bench.deliver(0, 8)
    await work.called("process")
    assert work.processed == [expected]


async def test_a_chunk_before_the_position_is_dropped_and_reading_stays(bench: Bench) -> None:
    work = bench.works[ONE]
    work.stored = 5
    await bench.begin()

    bench.deliver(0, 5)
    expected = bench.deliver(5, 8)
    await work.called("process")

    assert work.processed == [expected]
    assert bench.flow_control.take_seeks() == {}


async def test_a_chunk_that_got_lost_on_its_way_is_read_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.runner.partitions._LOST_SECONDS", 0.01)
    work = await bench.begin()

    bench.flow_control.advance(ONE, 5)

    assert await bench.read_from() == 0
    bench.deliver(0, 5)
    await work.called("process")


async def test_a_partition_where_nothing_comes_is_not_read_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.runner.partitions._LOST_SECONDS", 0.001)
    work = await bench.begin()

    await bench.flow_control.wait_for_change(0.01)

    assert bench.flow_control.take_seeks() == {}
    assert work.not_called


async def test_no_partition_ends_by_itself_while_it_is_owned(bench: Bench) -> None:
    work = bench.works[ONE]
    work.troubles["open"] = [OSError("no answer")]
    bench.partitions.start([ONE])

    await work.called("open", "close", "open")

    assert bench.partitions.ended() == []


async def test_a_partition_whose_closing_raised_has_ended(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The work breaks its promise: only a new process helps."""

    async def close() -> None:
        raise RuntimeError("never raises")

    work = await bench.begin()
    monkeypatch.setattr(work, "close", close)
    work.troubles["process"] = [OSError("no answer")]
    bench.deliver(0, 3)
    await work.called("process")

    async with asyncio.timeout(60):
        while not bench.partitions.ended():
            await bench.flow_control.wait_for_change(0.001)

    assert bench.partitions.ended() == [ONE]


async def test_a_chunk_without_records_moves_the_position_too(bench: Bench) -> None:
    work = await bench.begin()

    bench.partitions.deliver(Chunk(TOPIC, 0, 0, 4, []))
    bench.deliver(4, 5)
    await work.called("process", "process")

    assert [chunk.next_offset for chunk in work.processed] == [4, 5]


async def test_a_chunk_of_a_partition_that_is_not_ours_is_dropped(bench: Bench) -> None:
    work = await bench.begin()

    bench.deliver(0, 3, TWO)

    assert work.not_called
    assert bench.works[TWO].not_called


async def test_one_partitions_failure_does_not_stop_another(bench: Bench) -> None:
    failing, sound = bench.works[ONE], bench.works[TWO]
    failing.troubles["open"] = [OSError("no answer")] * 1000
    bench.partitions.start([ONE, TWO])
    await failing.called("open", "close", "open", "close")
    await sound.called("open")
    await bench.read_from(TWO)

    handed = bench.deliver(0, 3, TWO)
    await sound.called("process")

    assert sound.processed == [handed]
    assert {tp: status.failures > 0 for tp, status in bench.partitions.status().items()} == {ONE: True, TWO: False}


async def test_stopping_lets_the_chunk_at_hand_finish_and_not_the_next(bench: Bench) -> None:
    work = await bench.begin()
    work.busy["process"] = asyncio.Event()
    at_hand = bench.deliver(0, 3)
    bench.deliver(3, 6)
    await work.called("process")

    stopping = asyncio.create_task(bench.partitions.stop())
    await asyncio.wait([stopping], timeout=0)
    work.busy["process"].set()
    await stopping

    assert work.processed == [at_hand]
    await work.called("close")
    assert work.not_called
    assert bench.partitions.status() == {}


async def test_a_chunk_that_takes_too_long_is_cut_off(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    work = await bench.begin()
    work.busy["process"] = asyncio.Event()
    bench.deliver(0, 3)
    await work.called("process")

    await bench.partitions.stop()

    assert work.processed == []
    await work.called("close")
    assert "events.raw:0 is let go in the middle of a chunk" in caplog.text


async def test_a_partition_that_cannot_be_opened_is_let_go_all_the_same(bench: Bench) -> None:
    work = bench.works[ONE]
    work.troubles["open"] = [OSError("no answer")] * 1000
    bench.partitions.start([ONE])
    await work.called("open", "close")

    async with asyncio.timeout(60):
        await bench.partitions.stop()

    assert bench.partitions.status() == {}


async def test_a_partition_is_let_go_while_it_waits_for_its_next_attempt(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stream.runner.partitions._FIRST_PAUSE", 1000.0)
    monkeypatch.setattr("stream.runner.partitions.LETTING_GO_SECONDS", 1000.0)
    work = bench.works[ONE]
    work.troubles["open"] = [OSError("no answer")]
    bench.partitions.start([ONE])
    await work.called("open", "close")

    async with asyncio.timeout(60):
        await bench.partitions.stop()

    assert work.not_called


async def test_stopping_some_leaves_the_others_at_work(bench: Bench) -> None:
    await bench.begin(ONE)
    work = await bench.begin(TWO)

    await bench.partitions.stop([ONE, TP("events.raw", 7)])
    bench.deliver(0, 3, TWO)
    await work.called("process")

    assert set(bench.partitions.status()) == {TWO}


async def test_a_partition_assigned_again_goes_on_with_the_same_work(bench: Bench) -> None:
    work = await bench.begin()

    bench.partitions.start([ONE])
    bench.deliver(0, 3)
    await work.called("process")

    assert work.not_called


async def test_a_partition_that_comes_back_is_opened_anew(bench: Bench) -> None:
    work = await bench.begin()
    await bench.partitions.stop([ONE])
    await work.called("close")
    work.stored = 42

    bench.partitions.start([ONE])

    assert await bench.read_from() == 42
