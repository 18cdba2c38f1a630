"""The work on a partition: rows and position move together, whatever happens in between."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from schemas.settings import Settings
from schemas.topics import topic_names
from sinks.postgres.migrate import migrate
from sinks.postgres.pool import Pool, lend, make_pool
from sinks.table_topics import partition_works
from sinks.tables.events import EventWriter
from stream.runner.work import PositionMoved
from tests.integration.sinks.event_rows import a_registry, event_work, position_and_rows, read
from tests.support.servers import Infra
from tests.unit.sinks.test_binary_builders import (
    a_chunk,
    events,
)


async def until(ask: Callable[[], Awaitable[Any]]) -> Any:
    """Ask until there is an answer that is true, whatever state the database is in meanwhile."""
    async with asyncio.timeout(60):
        while True:
            with suppress(psycopg.OperationalError):
                if answer := await ask():
                    return answer
            await asyncio.sleep(0.05)


async def test_a_topic_that_was_made_anew_is_read_from_its_beginning(
    pool: Pool, caplog: pytest.LogCaptureFixture
) -> None:
    await event_work(pool, earliest=17).open()

    assert await event_work(pool, earliest=0, end=3).open() == 0
    assert "ends at 3, before the position 17" in caplog.text


async def test_a_partition_without_a_position_begins_at_its_earliest_offset(pool: Pool) -> None:
    assert await event_work(pool, earliest=17).open() == 17
    assert await event_work(pool, earliest=99).open() == 17


async def test_a_chunk_moves_rows_and_position_together(pool: Pool) -> None:
    work = event_work(pool)
    await work.open()

    await work.process(a_chunk(events(3), next_offset=10))

    assert await position_and_rows(pool) == (10, 3, 3)
    assert await work.open() == 10


async def test_the_next_chunk_goes_on_where_the_last_one_ended(pool: Pool) -> None:
    work = event_work(pool)
    await work.open()

    await work.process(a_chunk(events(3), next_offset=10))
    await work.process(a_chunk(events(2), start=10, next_offset=12))

    assert await position_and_rows(pool) == (12, 5, 5)


async def test_a_chunk_stored_before_moves_the_position_alone(pool: Pool) -> None:
    work, records = event_work(pool), events(3)
    await work.open()
    await work.process(a_chunk(records))

    await work.process(a_chunk(records, start=3))

    assert await position_and_rows(pool) == (6, 3, 3)


async def test_who_comes_second_finds_the_position_moved_and_writes_nothing(pool: Pool) -> None:
    first, second = event_work(pool), event_work(pool)
    await first.open()
    await second.open()
    await first.process(a_chunk(events(3)))

    with pytest.raises(PositionMoved):
        await second.process(a_chunk(events(3)))

    assert await position_and_rows(pool) == (3, 3, 3)
    assert await second.open() == 3


async def test_of_two_writers_one_waits_and_finds_the_position_moved(pool: Pool) -> None:
    works = [event_work(pool) for _ in range(3)]
    for work in works:
        await work.open()

    outcomes = await asyncio.gather(*(work.process(a_chunk(events(500))) for work in works), return_exceptions=True)

    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["NoneType", "PositionMoved", "PositionMoved"]
    assert await position_and_rows(pool) == (500, 500, 500)


async def test_a_failing_writer_leaves_rows_and_position_as_they_were(pool: Pool) -> None:
    class FailingWriter(EventWriter):
        async def write(self, connection: psycopg.AsyncConnection, rows: Any) -> int:
            await super().write(connection, rows)
            raise psycopg.OperationalError("disk full")

    work = event_work(pool, writer=FailingWriter())
    await work.open()

    with pytest.raises(psycopg.OperationalError):
        await work.process(a_chunk(events(3)))

    assert await position_and_rows(pool) == (0, 0, 0)


async def test_a_connection_on_which_something_failed_is_not_used_again(pool: Pool) -> None:
    lent: list[int] = []

    async def write_to_a_lost_primary() -> None:
        async with lend(pool) as connection:
            lent.append(connection.info.backend_pid)
            async with connection.transaction():
                await connection.execute("set transaction read only")
                await connection.execute("delete from eye.events")

    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
        await write_to_a_lost_primary()

    assert await read(pool, "select pg_backend_pid()") != [tuple(lent)]


async def test_connections_say_who_they_are_and_never_wait_for_ever(pool: Pool) -> None:
    names = "application_name", "synchronous_commit", "lock_timeout", "statement_timeout"

    shown = [(await read(pool, f"show {name}"))[0][0] for name in names]

    assert shown == ["eye-sinks", "on", "10s", "1min"]


async def test_postgres_killed_within_a_chunk_loses_and_doubles_nothing(infra: Infra, tmp_path: Path) -> None:
    postgres = infra.make_postgres(tmp_path)
    postgres.start()

    class KillingWriter(EventWriter):
        async def write(self, connection: psycopg.AsyncConnection, rows: Any) -> int:
            count = await super().write(connection, rows)
            postgres.kill()
            return count

    try:
        await migrate(postgres.dsn)
        async with make_pool(Settings(postgres_dsn=SecretStr(postgres.dsn))) as pool:
            work, records = event_work(pool), events(1000)
            await work.open()
            await work.process(a_chunk(records[:500]))
            with pytest.raises(psycopg.OperationalError):
                await event_work(pool, writer=KillingWriter()).process(a_chunk(records[500:], start=500))
            postgres.start()

            assert await until(work.open) == 500
            await work.process(a_chunk(records[500:], start=500))

            assert await position_and_rows(pool) == (1000, 1000, 1000)
            assert await read(pool, "select count(distinct source_offset) from eye.events") == [(1000,)]
    finally:
        postgres.stop()


async def test_a_commit_whose_answer_was_lost_is_told_by_open(infra: Infra, tmp_path: Path) -> None:
    """A missing standby holds the answer to a commit back; that connection is ended meanwhile."""
    postgres = infra.make_postgres(tmp_path)
    postgres.start()
    try:
        await migrate(postgres.dsn)
        async with make_pool(Settings(postgres_dsn=SecretStr(postgres.dsn))) as pool:
            work = event_work(pool)
            await work.open()
            await demand_standby(postgres.dsn, "missing")
            process = asyncio.create_task(work.process(a_chunk(events(3))))
            await end_connections_that_wait_for_a_standby(postgres.dsn)
            with pytest.raises(PositionMoved):  # what the next attempt comes upon
                await process
            await demand_standby(postgres.dsn, "")

            assert await until(work.open) == 3
            assert await position_and_rows(pool) == (3, 3, 3)
    finally:
        postgres.stop()


async def demand_standby(dsn: str, name: str) -> None:
    async def demanded() -> bool:
        return await (await connection.execute("show synchronous_standby_names")).fetchone() == (name,)

    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        await connection.execute(f"alter system set synchronous_standby_names = '{name}'")
        await connection.execute("select pg_reload_conf()")
        await until(demanded)
        await connection.execute("checkpoint")  # by then the checkpointer has told everybody


async def end_connections_that_wait_for_a_standby(dsn: str) -> None:
    async def ended() -> list[Any]:
        return await (await connection.execute(end)).fetchall()

    end = "select pg_terminate_backend(pid) from pg_stat_activity where wait_event = 'SyncRep'"
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        await until(ended)


async def test_each_topic_has_its_table(pool: Pool, dsn: str) -> None:
    settings = Settings(postgres_dsn=SecretStr(dsn), topic_prefix="t.", group="g-")
    names = topic_names(settings)
    asked: list[tuple[str, int]] = []

    async def bounds(topic: str, partition: int) -> tuple[int, int]:
        asked.append((topic, partition))
        return 5, 9

    works = partition_works(settings, pool, a_registry(), bounds)
    for make_work in works.values():
        assert await make_work(2).open() == 5

    assert set(works) == {names.validated, names.rejected, names.sessions}
    assert asked == [(topic, 2) for topic in works]
    assert await read(pool, "select sink, topic, partition from eye.sink_positions order by 1") == [
        ("g-events", "t.events.validated", 2),
        ("g-rejected_events", "t.events.rejected", 2),
        ("g-sessions", "t.sessions", 2),
    ]
