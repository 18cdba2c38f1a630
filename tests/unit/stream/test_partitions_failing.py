"""Owned partitions whose work fails: each is tried again, and holds up no other."""

from __future__ import annotations

import asyncio

import pytest

from stream.runner.chunk import Chunk
from stream.runner.work import PositionMoved
from tests.unit.stream.fake_work import ONE, TWO, Bench, FakeWork


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
