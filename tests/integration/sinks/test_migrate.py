from __future__ import annotations

import asyncio

import psycopg
import pytest

from sinks.postgres.migrate import MigrationError, migrate, pending


async def test_what_is_pending_is_applied_in_order_and_once(empty: str) -> None:
    names = await pending(empty)

    assert names == sorted(names)
    assert names[0] == "0001_events.sql"
    assert await migrate(empty) == names
    assert await migrate(empty) == []
    assert await pending(empty) == []


async def test_asking_what_is_pending_changes_nothing(empty: str) -> None:
    await pending(empty)

    with psycopg.connect(empty) as connection:
        assert connection.execute("select to_regnamespace('eye')").fetchone() == (None,)


async def test_several_at_once_take_turns(empty: str) -> None:
    names = await pending(empty)

    applied = await asyncio.gather(*(migrate(empty) for _ in range(4)))

    assert sorted(name for names_applied in applied for name in names_applied) == names


async def test_a_migration_that_was_changed_afterwards_is_refused(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute("update eye.migrations set checksum = 'another' where name = '0001_events.sql'")

    with pytest.raises(MigrationError, match=r"0001_events\.sql was changed"):
        await migrate(dsn)
    with pytest.raises(MigrationError):
        await pending(dsn)


async def test_a_database_that_is_newer_than_the_code_is_left_alone(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        connection.execute("insert into eye.migrations values ('9999_later.sql', 'x', now())")

    assert await migrate(dsn) == []


async def test_a_failed_migration_leaves_no_trace_and_can_be_retried(empty: str) -> None:
    names = await pending(empty)
    with psycopg.connect(empty) as connection:
        connection.execute("create schema eye")
        connection.execute("create table eye.sessions (in_the_way int)")

    with pytest.raises(psycopg.errors.DuplicateTable):
        await migrate(empty)
    assert await pending(empty) == names[2:]

    with psycopg.connect(empty) as connection:
        connection.execute("drop table eye.sessions")
    assert await migrate(empty) == names[2:]


def test_every_table_column_and_function_has_its_comment(dsn: str) -> None:
    with psycopg.connect(dsn) as connection:
        missing = connection.execute(
            """
            select class.relname || coalesce('.' || attname, '')
            from pg_class class
            left join pg_attribute on attrelid = class.oid and attnum > 0 and not attisdropped
            where relnamespace = 'eye'::regnamespace and relkind in ('r', 'p') and not relispartition
                and (col_description(class.oid, attnum) is null or obj_description(class.oid, 'pg_class') is null)
            union all
            select proname from pg_proc
            where pronamespace = 'eye'::regnamespace and obj_description(oid, 'pg_proc') is null
            """
        ).fetchall()

    assert missing == []
