"""The owned partitions: each kept going by itself, from where its work says, until it is let go."""

from __future__ import annotations

import asyncio

import pytest
from faust.types import TP

from stream.runner.chunk import Chunk
from tests.unit.stream.fake_work import ONE, TOPIC, TWO, Bench


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
