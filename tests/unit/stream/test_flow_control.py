"""FlowControl: from where the work says, no further ahead of it than allowed."""

from __future__ import annotations

import asyncio

import pytest
from faust.types import TP

from stream.runner.flow_control import MAX_PENDING, FlowControl

ONE, TWO = TP("events.raw", 0), TP("events.raw", 1)


@pytest.fixture
def reading() -> FlowControl:
    return FlowControl()


def begin(reading: FlowControl, tp: TP, offset: int = 0) -> None:
    """Do what partition and consumer do until a partition is read."""
    reading.start(tp, offset)
    for sought, where in reading.take_seeks().items():
        reading.sought(sought, where)


def test_nothing_is_read_before_its_work_says_from_where(reading: FlowControl) -> None:
    assert reading.take_seeks() == {}
    assert reading.wanted([ONE, TWO]) == (set(), False)
    assert reading.position(ONE) is None


def test_a_partition_is_sought_once_and_then_wanted(reading: FlowControl) -> None:
    reading.start(ONE, 17)

    assert reading.wanted([ONE]) == (set(), False)
    assert reading.take_seeks() == {ONE: 17}
    assert reading.take_seeks() == {}
    reading.sought(ONE, 17)
    assert reading.wanted([ONE, TWO]) == ({ONE}, False)
    assert reading.position(ONE) == 17


def test_a_partition_that_is_not_assigned_is_not_wanted(reading: FlowControl) -> None:
    begin(reading, ONE)

    assert reading.wanted([TWO]) == (set(), False)


def test_reading_pauses_while_too_many_chunks_wait_and_others_go_on(reading: FlowControl) -> None:
    begin(reading, ONE)
    begin(reading, TWO)

    for number in range(MAX_PENDING):
        assert reading.wanted([ONE, TWO]) == ({ONE, TWO}, False)
        reading.advance(ONE, number + 1)

    assert reading.wanted([ONE, TWO]) == ({TWO}, True)
    reading.finished(ONE)
    assert reading.wanted([ONE, TWO]) == ({ONE, TWO}, False)


def test_a_partition_is_idle_when_all_that_was_read_is_done(reading: FlowControl) -> None:
    begin(reading, ONE)
    assert reading.is_idle(ONE, 0)

    reading.advance(ONE, 5)
    assert not reading.is_idle(ONE, 5)
    reading.finished(ONE)

    assert reading.is_idle(ONE, 5)
    assert not reading.is_idle(ONE, 4)
    assert not reading.is_idle(TWO, 0)


def test_a_partition_that_is_stopped_is_read_no_more(reading: FlowControl) -> None:
    begin(reading, ONE)
    reading.start(TWO, 3)

    reading.stop(ONE)
    reading.stop(TWO)

    assert reading.take_seeks() == {}
    assert reading.wanted([ONE, TWO]) == (set(), False)
    assert reading.position(ONE) is None


def test_a_chunk_that_is_finished_after_the_stop_changes_nothing(reading: FlowControl) -> None:
    begin(reading, ONE)
    reading.advance(ONE, 5)
    reading.stop(ONE)

    reading.finished(ONE)

    assert reading.wanted([ONE]) == (set(), False)


def test_starting_again_forgets_what_was_read_before(reading: FlowControl) -> None:
    begin(reading, ONE)
    for number in range(MAX_PENDING):
        reading.advance(ONE, number + 1)

    begin(reading, ONE, 1)

    assert reading.position(ONE) == 1
    assert reading.wanted([ONE]) == ({ONE}, False)


def test_a_seek_that_was_overtaken_by_another_start_does_not_count(reading: FlowControl) -> None:
    reading.start(ONE, 5)
    reading.take_seeks()
    reading.start(ONE, 3)

    reading.sought(ONE, 5)

    assert reading.position(ONE) is None
    assert reading.take_seeks() == {ONE: 3}


def test_a_seek_that_was_overtaken_by_a_stop_does_not_count(reading: FlowControl) -> None:
    reading.start(ONE, 5)
    reading.take_seeks()
    reading.stop(ONE)

    reading.sought(ONE, 5)

    assert reading.wanted([ONE]) == (set(), False)


@pytest.mark.parametrize("change", ["start", "stop", "finished"])
async def test_who_waits_is_woken_by_any_change(reading: FlowControl, change: str) -> None:
    begin(reading, ONE)
    reading.advance(ONE, 1)
    waiting = asyncio.create_task(reading.wait_for_change(60))
    await asyncio.wait([waiting], timeout=0)

    match change:
        case "start":
            reading.start(TWO, 0)
        case "stop":
            reading.stop(ONE)
        case _:
            reading.finished(ONE)

    async with asyncio.timeout(60):
        await waiting


async def test_who_waits_for_nothing_goes_on_after_the_time(reading: FlowControl) -> None:
    async with asyncio.timeout(60):
        await reading.wait_for_change(0.001)
