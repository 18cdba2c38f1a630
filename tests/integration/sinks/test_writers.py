"""The writers, each against a real Postgres."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from psycopg import AsyncConnection

from schemas.ids import row_id
from sinks.tables.corrections import event_writer, rejected_writer
from sinks.tables.events import event_rows
from sinks.tables.rejected_events import rejected_rows
from sinks.tables.sessions import SessionWriter, session_rows
from tests.unit.sinks.test_binary_builders import (
    MOMENT,
    a_rejected_event,
    a_session_record,
    a_verdict_record,
    an_accepted_event,
    events,
)


@pytest.fixture
async def connection(dsn: str) -> AsyncIterator[AsyncConnection]:
    """Connect, in a transaction that ends with the test."""
    async with await AsyncConnection.connect(dsn) as connection:
        yield connection


async def read(connection: AsyncConnection, query: str) -> list[Any]:
    return await (await connection.execute(query)).fetchall()


async def test_an_event_is_stored_with_all_that_its_record_says(connection: AsyncConnection) -> None:
    event = an_accepted_event(event_id="order-17", data=b'{"host": "h"}')

    await event_writer().write(connection, event_rows([a_verdict_record(event, offset=5)]).rows)

    [stored] = await read(
        connection,
        "select event_id, application, session_id, category, name, occurred_at, received_at, schema_version, data,"
        " source_partition, source_offset, client_event_id from eye.events",
    )
    assert stored == (
        row_id("shop", "order-17"), "shop", "s1", "page interaction", "pageview", MOMENT, MOMENT, 1, {"host": "h"},
        3, 50, "order-17",
    )  # fmt: skip


async def test_a_batch_of_events_written_twice_changes_nothing(connection: AsyncConnection) -> None:
    rows = event_rows(events(3)).rows

    assert [await event_writer().write(connection, rows), await event_writer().write(connection, rows)] == [3, 0]
    assert await read(connection, "select count(*) from eye.events") == [(3,)]


async def test_of_a_batch_that_is_known_in_part_the_rest_is_stored(connection: AsyncConnection) -> None:
    rows = event_rows(events(10)).rows
    await event_writer().write(connection, rows[::3])

    assert await event_writer().write(connection, rows) == 6
    stored = await read(connection, "select source_offset from eye.events order by 1")
    assert [offset for (offset,) in stored] == [offset * 10 for offset in range(10)]


async def test_the_same_id_with_another_time_is_the_same_event(connection: AsyncConnection) -> None:
    event_id = str(uuid.uuid4())
    times = [MOMENT, MOMENT + timedelta(days=40)]
    batches = [event_rows([a_verdict_record(an_accepted_event(event_id=event_id, occurred_at=t))]).rows for t in times]

    assert [await event_writer().write(connection, rows) for rows in batches] == [1, 0]
    assert await read(connection, "select occurred_at from eye.events") == [(MOMENT,)]


async def test_the_same_id_of_another_application_is_another_event(connection: AsyncConnection) -> None:
    event_id = str(uuid.uuid4())
    records = [a_verdict_record(an_accepted_event(event_id=event_id, application=name)) for name in ("shop", "blog")]

    assert await event_writer().write(connection, event_rows(records).rows) == 2


async def test_two_writers_store_each_event_once_and_never_deadlock(dsn: str) -> None:
    rows = event_rows(events(3000)).rows

    async def write(rows: Any) -> int:
        async with await AsyncConnection.connect(dsn) as connection:
            return await event_writer().write(connection, rows)

    stored = await asyncio.gather(*(write(rows), write(rows[::-1]), write(rows[1::2] + rows[::2])))

    assert sum(stored) == 3000
    async with await AsyncConnection.connect(dsn) as connection:
        counts = await read(connection, "select count(*), count(distinct event_id) from eye.events")
    assert counts == [(3000, 3000)]


async def test_an_event_that_is_rolled_back_leaves_its_id_free(dsn: str) -> None:
    rows = event_rows(events(1)).rows
    async with await AsyncConnection.connect(dsn) as connection:
        await event_writer().write(connection, rows)
        await connection.rollback()

        assert await event_writer().write(connection, rows) == 1


async def test_any_time_has_a_place(connection: AsyncConnection) -> None:
    times = [MOMENT.replace(year=year) for year in (1, 1969, 2021, 2400, 9999)]
    rows = event_rows([a_verdict_record(an_accepted_event(occurred_at=time)) for time in times]).rows

    assert await event_writer().write(connection, rows) == 5


async def test_no_rows_are_written_without_complaint(connection: AsyncConnection) -> None:
    written = [
        await event_writer().write(connection, []),
        await rejected_writer().write(connection, []),
        await SessionWriter().write(connection, []),
    ]

    assert written == [0, 0, 0]


async def test_a_rejected_event_is_stored_with_every_reason(connection: AsyncConnection) -> None:
    event = a_rejected_event(event_id="order-17", raw="🦉", session_id="s1")

    await rejected_writer().write(connection, rejected_rows([a_verdict_record(event, offset=5)]).rows)

    [stored] = await read(
        connection,
        "select event_id, application, session_id, category, name, timestamp, received_at, codes,"
        " errors->1->>'path', raw, raw_encoding, raw_truncated, source_partition, source_offset, client_event_id"
        " from eye.rejected_events",
    )
    assert stored == (
        row_id("shop", "order-17"), "shop", "s1", None, "pageview", "yesterday", MOMENT,
        ["missing_field", "bad_timestamp"], "$.timestamp", "🦉", "utf-8", False, 3, 50, "order-17",
    )  # fmt: skip


async def test_a_batch_of_rejected_events_written_twice_changes_nothing(connection: AsyncConnection) -> None:
    rows = rejected_rows([a_verdict_record(a_rejected_event()) for _ in range(3)]).rows

    assert [await rejected_writer().write(connection, rows), await rejected_writer().write(connection, rows)] == [3, 0]


async def test_two_batches_in_one_transaction_do_not_mix(dsn: str) -> None:
    first, second = (rejected_rows([a_verdict_record(a_rejected_event())]).rows for _ in range(2))

    async with await AsyncConnection.connect(dsn) as connection:
        assert await rejected_writer().write(connection, first) == 1
        assert await rejected_writer().write(connection, second) == 1


async def test_a_session_is_stored_as_its_summary_says(connection: AsyncConnection) -> None:
    await SessionWriter().write(connection, session_rows([a_session_record("s1", 2)]).rows)

    assert await read(connection, "select * from eye.sessions") == [
        (
            "s1",
            ["shop", "blog"],
            2,
            "open",
            MOMENT,
            MOMENT,
            2,
            0,
            {"page interaction/pageview": 2},
            "first",
            None,
            MOMENT,
            None,
        )
    ]


async def test_a_session_with_rejected_events_alone_has_no_times(connection: AsyncConnection) -> None:
    await SessionWriter().write(connection, session_rows([a_session_record(started_at=None)]).rows)

    assert await read(connection, "select started_at, ended_at from eye.sessions") == [(None, None)]


async def test_an_older_revision_never_replaces_a_newer_one(connection: AsyncConnection) -> None:
    batches = [session_rows([a_session_record("s1", revision)]).rows for revision in (2, 1, 2, 3)]

    assert [await SessionWriter().write(connection, rows) for rows in batches] == [1, 0, 0, 1]
    assert await read(connection, "select revision, event_count from eye.sessions") == [(3, 3)]


@pytest.mark.parametrize(
    "query",
    [
        "select * from eye.events where session_id = 's' order by occurred_at, event_id limit 10",
        "select * from eye.events where category = 'c' and name = 'n' order by occurred_at, event_id limit 10",
        "select * from eye.events where occurred_at >= '2021-01-01' order by occurred_at, event_id limit 10",
        "select * from eye.event_keys where event_id = '00000000-0000-0000-0000-000000000000'",
        "select * from eye.rejected_events where codes @> '{bad_value}'",
        "select * from eye.sessions where status = 'open' order by started_at limit 10",
    ],
)
async def test_a_query_by_session_type_time_id_or_code_uses_an_index(connection: AsyncConnection, query: str) -> None:
    await connection.execute("set enable_seqscan = off; set enable_sort = off")  # the table is empty

    plan = "\n".join(line for (line,) in await read(connection, f"explain {query}"))

    assert "Index" in plan
    assert "->  Sort" not in plan


async def test_what_postgres_can_not_take_is_its_to_refuse(connection: AsyncConnection) -> None:
    rows = event_rows([a_verdict_record(an_accepted_event(data=b'{"a": "\\u0000"}'))]).rows

    with pytest.raises(psycopg.DataError):
        await event_writer().write(connection, rows)
