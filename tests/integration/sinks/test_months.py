from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg import AsyncConnection

from sinks.months import AHEAD_MONTHS, make_historical_partitions, make_partitions
from sinks.postgres.pool import Pool
from sinks.tables.corrections import event_writer
from sinks.tables.events import event_rows
from tests.unit.sinks.test_binary_builders import MOMENT, a_verdict_record, an_accepted_event

MAKE = "select * from eye.make_event_partitions(%s)"
WHERE = """
select relname, count(*) from eye.events join pg_class on pg_class.oid = events.tableoid group by 1 order by 1
"""


@pytest.fixture
async def connection(dsn: str) -> AsyncIterator[AsyncConnection]:
    async with await AsyncConnection.connect(dsn, autocommit=True) as connection:
        yield connection


def month(ahead: int) -> datetime:
    """Return the first moment of a month, counted from this one."""
    now = datetime.now(UTC)
    months = now.year * 12 + now.month - 1 + ahead
    return datetime(months // 12, months % 12 + 1, 1, tzinfo=UTC)


async def store(connection: AsyncConnection, *times: datetime) -> None:
    records = [a_verdict_record(an_accepted_event(occurred_at=time)) for time in times]
    async with connection.transaction():
        await event_writer().write(connection, event_rows(records).rows)


async def make(connection: AsyncConnection, ahead: int) -> list[Any]:
    return [name for (name,) in await (await connection.execute(MAKE, (ahead,))).fetchall()]


async def test_partitions_reach_from_last_month_to_some_months_ahead(pool: Pool) -> None:
    made = await make_partitions(pool)

    assert made == [f"events_{month(ahead):%Y_%m}" for ahead in range(-1, AHEAD_MONTHS + 1)]
    assert await make_partitions(pool) == []


async def test_events_go_to_their_months_partition_or_the_default_one(connection: AsyncConnection) -> None:
    await make(connection, 1)

    await store(connection, month(0), month(1) - timedelta(microseconds=1), month(1), MOMENT)

    assert await (await connection.execute(WHERE)).fetchall() == [
        (f"events_{month(0):%Y_%m}", 2),
        (f"events_{month(1):%Y_%m}", 1),
        ("events_default", 1),
    ]


async def test_events_that_came_before_their_partition_are_moved_into_it(connection: AsyncConnection) -> None:
    await store(connection, month(0), month(1), month(2) - timedelta(microseconds=1), month(2), MOMENT)

    await make(connection, 1)

    assert await (await connection.execute(WHERE)).fetchall() == [
        (f"events_{month(0):%Y_%m}", 1),
        (f"events_{month(1):%Y_%m}", 2),
        ("events_default", 2),
    ]


async def test_several_at_once_make_each_partition_once(dsn: str) -> None:
    async def make_alone() -> list[Any]:
        async with await AsyncConnection.connect(dsn, autocommit=True) as connection:
            return await make(connection, 6)

    made = await asyncio.gather(*(make_alone() for _ in range(4)))

    assert sorted(name for names in made for name in names) == [f"events_{month(a):%Y_%m}" for a in range(-1, 7)]


async def test_events_may_be_stored_while_partitions_are_made(dsn: str) -> None:
    async def store_many() -> None:
        async with await AsyncConnection.connect(dsn, autocommit=True) as connection:
            for ahead in range(40):
                await store(connection, month(ahead % 8), MOMENT)

    async def make_many() -> None:
        async with await AsyncConnection.connect(dsn, autocommit=True) as connection:
            for ahead in range(8):
                await make(connection, ahead)

    await asyncio.gather(store_many(), store_many(), make_many())

    with psycopg.connect(dsn) as connection:
        counts = connection.execute("select count(*), count(distinct event_id) from eye.events").fetchone()
    assert counts == (160, 160)


async def test_a_new_partition_has_the_indexes_of_the_others(connection: AsyncConnection) -> None:
    [_, this_month] = await make(connection, 0)

    counted = await connection.execute("select count(*) from pg_indexes where tablename = %s", (this_month,))

    assert await counted.fetchone() == (5,)


async def test_events_of_the_past_get_partitions_of_their_own(pool: Pool, connection: AsyncConnection) -> None:
    await make_partitions(pool)
    await store(connection, month(-30), month(-30), month(-7), month(-6) - timedelta(microseconds=1), month(0))

    made = await make_historical_partitions(pool, None)
    await store(connection, month(-7))

    assert sorted(made) == [f"events_{month(-30):%Y_%m}", f"events_{month(-7):%Y_%m}"]
    assert await (await connection.execute(WHERE)).fetchall() == [
        (f"events_{month(-30):%Y_%m}", 2),
        (f"events_{month(-7):%Y_%m}", 3),
        (f"events_{month(0):%Y_%m}", 1),
    ]
    assert await make_historical_partitions(pool, None) == []


async def test_months_that_retention_drops_get_no_partition(pool: Pool, connection: AsyncConnection) -> None:
    await make_partitions(pool)
    await store(connection, month(-30), month(-3))

    assert await make_historical_partitions(pool, month(-5)) == [f"events_{month(-3):%Y_%m}"]


async def test_the_number_of_partitions_has_a_bound(
    pool: Pool, connection: AsyncConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sinks.months.MOST_PARTITIONS", 8)
    await make_partitions(pool)  # with the default partition six
    await store(connection, *(month(-ahead) for ahead in range(10, 40)), month(-20))

    made = await make_historical_partitions(pool, None)

    assert len(made) == 2
    assert made[0] == f"events_{month(-20):%Y_%m}"


async def test_events_may_be_stored_while_the_past_gets_partitions(pool: Pool, dsn: str) -> None:
    async def store_many() -> None:
        async with await AsyncConnection.connect(dsn, autocommit=True) as connection:
            for ago in range(40):
                await store(connection, month(-4 - ago % 8), month(0))

    async def make_many() -> None:
        for _ in range(6):
            await make_historical_partitions(pool, None)

    await asyncio.gather(store_many(), store_many(), make_many(), make_many())

    with psycopg.connect(dsn) as connection:
        counts = connection.execute("select count(*), count(distinct event_id) from eye.events").fetchone()
    assert counts == (160, 160)
