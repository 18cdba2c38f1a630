"""What a run takes over from the sinks, and hands back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from eye.replay import runs
from eye.replay.backlog import Backlog
from eye.replay.plan import Span
from eye.replay.selection import VALIDATED, Selection
from schemas.settings import Settings
from sinks.metrics import SinkMetrics
from sinks.pool import Pool, lend, make_pool
from sinks.refused import set_aside
from sinks.rows import event_rows
from sinks.work import Table, TablePartition, store
from sinks.writer import EventWriter
from stream.transport.work import PositionMoved
from tests.unit.test_sinks_builders import a_chunk, events

TABLE = Table("events", "events", event_rows, EventWriter(), set_aside)
TOPIC = "some.topic"
EVERYTHING = Selection(topics=(VALIDATED,), all=True)


@pytest.fixture
async def pool(dsn: str) -> AsyncIterator[Pool]:
    async with make_pool(Settings(postgres_dsn=SecretStr(dsn))) as pool:
        yield pool


def a_sink(pool: Pool, *, earliest: int = 0, end: int = 1_000) -> TablePartition[Any]:
    async def bounds() -> tuple[int, int]:
        return earliest, end

    return TablePartition(pool, SinkMetrics(CollectorRegistry()), TABLE, TOPIC, 0, bounds, 0.5)


async def begin(pool: Pool, *, start: int = 0, end: int = 100, whole: bool = True) -> str:
    backlog = Backlog("events", TOPIC, 0, start, end, whole)
    return await runs.begin(pool, "sink", EVERYTHING, {}, [Span(TOPIC, 0, start, 110)], [backlog])


async def replay(pool: Pool, run: str, number: int) -> None:
    """Store so many records from the first on."""
    await store(pool, TABLE, a_chunk(events(number)), runs.RunPosition(run), 0.5)


async def stored_position(pool: Pool) -> int | None:
    async with lend(pool) as connection:
        found = await (await connection.execute("select next_offset from eye.stored_positions")).fetchone()
    return None if found is None else int(found[0])


async def test_a_sink_at_work_finds_itself_behind_the_backlog_and_goes_on_there(pool: Pool) -> None:
    sink = a_sink(pool)
    await sink.open()
    await sink.process(a_chunk(events(3)))

    await begin(pool)

    with pytest.raises(PositionMoved):
        await sink.process(a_chunk(events(2), start=3))
    assert await sink.open() == 100
    assert await stored_position(pool) == 3


async def test_a_sink_without_a_position_begins_behind_the_backlog(pool: Pool) -> None:
    await begin(pool)

    assert await a_sink(pool).open() == 100
    assert await stored_position(pool) == 0


@pytest.mark.parametrize("position", [100, 150], ids=["at its end", "beyond"])
async def test_a_sink_that_keeps_up_stays_where_it_is(pool: Pool, position: int) -> None:
    await a_sink(pool, earliest=position).open()

    await begin(pool)

    assert await a_sink(pool).open() == position
    assert await stored_position(pool) == position


async def test_what_is_before_a_run_is_not_left_out(pool: Pool) -> None:
    await a_sink(pool).open()

    await begin(pool, start=10, whole=False)

    assert await a_sink(pool).open() == 0


async def test_a_run_of_later_offsets_gives_no_position_to_a_sink_that_has_none(pool: Pool) -> None:
    await begin(pool, start=10, whole=False)

    assert await a_sink(pool).open() == 0


async def test_what_a_cancelled_run_has_not_stored_is_the_sinks_again(pool: Pool) -> None:
    sink = a_sink(pool)
    run = await begin(pool)
    await replay(pool, run, 5)
    await sink.open()
    await sink.process(a_chunk(events(3), start=100))

    await runs.cancel(pool, run)

    assert await sink.open() == 5
    assert await stored_position(pool) == 5


async def test_what_the_sink_had_stored_before_is_not_handed_back(pool: Pool) -> None:
    sink = a_sink(pool)
    await sink.open()
    await sink.process(a_chunk(events(40), next_offset=40))
    run = await begin(pool)
    await replay(pool, run, 5)

    await runs.end(pool, run, runs.STOPPED)

    assert await sink.open() == 40


async def test_a_killed_run_that_goes_on_still_holds_what_it_took_over(pool: Pool) -> None:
    run = await begin(pool)
    await replay(pool, run, 5)

    await runs.resume(pool, run, [Backlog("events", TOPIC, 0, 0, 105, True)])

    assert await stored_position(pool) == 5
    assert await a_sink(pool).open() == 105
    await runs.cancel(pool, run)
    assert await a_sink(pool).open() == 5


async def test_a_run_that_is_done_hands_nothing_back(pool: Pool) -> None:
    run = await begin(pool)
    await store(pool, TABLE, a_chunk(events(110)), runs.RunPosition(run), 0.5)

    await runs.end(pool, run, runs.DONE)

    assert await a_sink(pool).open() == 100
    assert await stored_position(pool) == 100
