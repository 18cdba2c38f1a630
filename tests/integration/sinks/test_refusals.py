"""Rows that Postgres refuses: each is set aside, its neighbours are stored."""

from __future__ import annotations

import psycopg
import pytest

from schemas.record import RawRecord
from sinks.group_commit import GroupCommit
from sinks.postgres.pool import Pool, lend
from sinks.table_partition import TablePartition
from sinks.tables.refusals import TooManyRefused, skip
from sinks.tables.sessions import SessionWriter, session_rows
from sinks.tables.table import Table
from tests.integration.sinks.event_rows import a_registry, event_work, position_and_rows, read, refused_events
from tests.unit.sinks.test_binary_builders import (
    a_chunk,
    a_rejected_event,
    a_session_record,
    a_verdict_record,
    an_accepted_event,
    events,
)


async def test_a_row_that_postgres_refuses_costs_only_itself(pool: Pool) -> None:
    bad = [
        a_verdict_record(an_accepted_event(data=b'{"a": "\\u0000"}'), offset=3),
        a_verdict_record(an_accepted_event(data=b'{"n": 1e999999}'), offset=7),
        a_verdict_record(an_accepted_event(session_id="nul \0 nul"), offset=8),
    ]
    records: list[RawRecord] = [*events(20)]
    for record in bad:
        records[record.offset] = record
    work = event_work(pool)
    await work.open()

    await work.process(a_chunk(records))

    assert await position_and_rows(pool) == (20, 17, 17)
    aside = await read(
        pool, "select codes, errors->0->>'path', raw, source_offset from eye.rejected_events order by source_offset"
    )
    values = [(record.value or b"").decode() for record in bad]
    assert aside == [(["bad_value"], "$", v, r.offset * 10) for v, r in zip(values, bad, strict=True)]
    reasons = [r for (r,) in await read(pool, "select errors->0->>'message' from eye.rejected_events")]
    assert all(reasons)


async def test_a_chunk_that_is_mostly_refused_is_not_set_aside(pool: Pool) -> None:
    work, records = event_work(pool, max_refused_share=0.4), [*refused_events(50), *events(60)[50:]]
    await work.open()

    with pytest.raises(TooManyRefused, match=r"24 of the 60 records from some.topic:0:0 .*\\u0000 cannot be converted"):
        await work.process(a_chunk(records))

    assert await position_and_rows(pool) == (0, 0, 0)
    assert await read(pool, "select * from eye.rejected_events") == []


async def test_values_that_no_stream_wrote_count_among_the_refused(pool: Pool) -> None:
    foreign = [a_verdict_record(a_rejected_event(raw="\x01"), offset=offset) for offset in range(11)]
    work = event_work(pool)
    await work.open()

    with pytest.raises(TooManyRefused):
        await work.process(a_chunk(foreign))

    assert await read(pool, "select * from eye.rejected_events") == []


@pytest.mark.parametrize(("number", "share"), [(10, 0.0), (12, 1.0)])
async def test_a_few_refused_records_are_set_aside_and_many_on_demand(pool: Pool, number: int, share: float) -> None:
    work = event_work(pool, max_refused_share=share)
    await work.open()

    await work.process(a_chunk(refused_events(number)))

    assert await position_and_rows(pool) == (number, 0, 0)
    assert await read(pool, "select count(*) from eye.rejected_events") == [(number,)]


async def test_a_refused_event_may_come_again_mended(pool: Pool) -> None:
    event_id = "order-17"
    work = event_work(pool)
    await work.open()
    await work.process(a_chunk([a_verdict_record(an_accepted_event(event_id=event_id, data=b'{"a": "\\u0000"}'))]))

    await work.process(a_chunk([a_verdict_record(an_accepted_event(event_id=event_id))], start=1))

    assert await position_and_rows(pool) == (2, 1, 1)


async def test_a_value_that_no_stream_wrote_is_set_aside(pool: Pool) -> None:
    [good] = events(1)
    foreign = a_verdict_record(a_rejected_event(raw="\x01"), offset=1)
    work = event_work(pool)
    await work.open()

    await work.process(a_chunk([good, foreign]))

    assert await position_and_rows(pool) == (2, 1, 1)
    assert await read(pool, "select codes from eye.rejected_events") == [(["bad_value"],)]


async def test_a_missing_partition_is_no_fault_of_the_events(pool: Pool) -> None:
    work = event_work(pool)
    await work.open()
    async with lend(pool) as connection:
        await connection.execute("alter table eye.events detach partition eye.events_default")

    with pytest.raises(psycopg.errors.CheckViolation):
        await work.process(a_chunk(events(3)))

    assert await position_and_rows(pool) == (0, 0, 0)
    assert await read(pool, "select * from eye.rejected_events") == []


async def test_a_refused_summary_is_skipped_and_logged(pool: Pool, caplog: pytest.LogCaptureFixture) -> None:
    async def bounds() -> tuple[int, int]:
        return 0, 2

    table = Table("sessions", "sessions", session_rows, SessionWriter(), skip)
    work = TablePartition(pool, a_registry(), table, "some.topic", 0, bounds, 0.5, GroupCommit(pool))
    await work.open()

    await work.process(a_chunk([a_session_record("nul \0 nul", offset=0), a_session_record("s2", offset=1)]))

    assert await read(pool, "select session_id from eye.sessions") == [("s2",)]
    assert "some.topic:0:0 is skipped" in caplog.text
