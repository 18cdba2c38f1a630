"""Defaults that others have set for a database, a role or the environment change nothing of what is stored and read."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from pydantic import SecretStr

from eye.operations.doctor.postgres import check_postgres
from postgres_client.connection import Connection, Session, read_transaction
from schemas.record import Record
from schemas.settings import Settings
from sinks.postgres.migrate import EncodingError, MigrationError, migrate, pending
from sinks.postgres.pool import lend, make_pool
from sinks.tables.corrections import event_writer, rejected_writer
from sinks.tables.events import event_rows
from sinks.tables.rejected_events import rejected_rows
from sinks.tables.sessions import SessionWriter, session_rows
from tests.integration.gateway.test_json_builders import a_gateway
from tests.unit.sinks.test_binary_builders import (
    a_rejected_event,
    a_session_record,
    a_verdict_record,
    an_accepted_event,
)

SESSION = "latin é 日本"
DATA = '{"text": "é 日本 \\\\ \' "}'.encode()

DEFAULTS = {
    "client_encoding": "LATIN1",
    "DateStyle": "SQL, DMY",
    "TimeZone": "Asia/Kolkata",
    "IntervalStyle": "sql_standard",
    "search_path": "nowhere",
    "standard_conforming_strings": "off",
    "bytea_output": "escape",
    "row_security": "on",
    "default_transaction_isolation": "serializable",
    "extra_float_digits": "-15",
    "synchronous_commit": "off",
    "statement_timeout": "50ms",
    "lock_timeout": "50ms",
    "idle_in_transaction_session_timeout": "100ms",
}
VARIABLES = {
    "PGCLIENTENCODING": "LATIN1",
    "PGDATESTYLE": "SQL, DMY",
    "PGTZ": "Asia/Kolkata",
    "PGOPTIONS": "-c search_path=nowhere -c DateStyle=SQL",
}


@pytest.fixture(params=[*DEFAULTS, "all", *VARIABLES])
def foreign(request: pytest.FixtureRequest, dsn: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Set a default of the database, or all of them, or a variable of the environment."""
    name = sql.Identifier(str(conninfo_to_dict(dsn)["dbname"]))
    if request.param in VARIABLES:
        monkeypatch.setenv(request.param, VARIABLES[request.param])
        yield dsn
        return
    with psycopg.connect(dsn, autocommit=True) as connection:
        for setting, value in DEFAULTS.items():
            if request.param not in (setting, "all"):
                continue
            set_default = sql.SQL("alter database {} set {} = {}")
            literal = sql.Identifier(value) if setting == "search_path" else sql.Literal(value)
            connection.execute(set_default.format(name, sql.Identifier(setting.lower()), literal))
    yield dsn


def records() -> tuple[Record, Record, Record]:
    accepted = an_accepted_event(event_id="order-é", session_id=SESSION, data=DATA)
    return (
        a_verdict_record(accepted),
        a_verdict_record(a_rejected_event(event_id="bad-日", raw="é 日本 \\", session_id=SESSION), offset=1),
        a_session_record(SESSION, 3),
    )


async def store(dsn: str) -> None:
    """Store an event, a rejected event and a session by the sinks' own pool."""
    event, rejected, session = records()
    pool = make_pool(Settings(postgres_dsn=SecretStr(dsn)))
    async with pool, lend(pool) as connection, connection.transaction():
        await connection.execute("select pg_sleep(0.2)")
        await asyncio.sleep(0.2)
        await event_writer().write(connection, event_rows([event]).rows)
        await rejected_writer().write(connection, rejected_rows([rejected]).rows)
        await SessionWriter().write(connection, session_rows([session]).rows)


def stored(dsn: str) -> list[Any]:
    """Return the rows in binary, as a connection of plain settings reads them."""
    plain = "-c client_encoding=UTF8 -c search_path=public -c statement_timeout=0 -c lock_timeout=0"
    options = f"{plain} -c idle_in_transaction_session_timeout=0 -c TimeZone=UTC -c DateStyle=ISO"
    with psycopg.connect(dsn, options=options, client_encoding="UTF8", autocommit=True) as connection:
        tables = ("events", "rejected_events", "sessions")
        queries = [f"select * from eye.{table}".encode() for table in tables]
        return [connection.execute(query, binary=True).fetchall() for query in queries]


async def test_rows_are_those_of_a_plain_database(foreign: str, empty: str) -> None:
    plain = conninfo_to_dict(empty)
    await migrate(empty)

    await store(foreign)
    with pytest.MonkeyPatch.context() as unset:
        for name in VARIABLES:
            unset.delenv(name, raising=False)
        await store(empty)

    assert plain["dbname"] != conninfo_to_dict(foreign)["dbname"]
    assert stored(foreign) == stored(empty)


async def test_reads_answer_as_from_a_plain_database(foreign: str, settings: Settings) -> None:
    await store(foreign)

    async with a_gateway(settings.model_copy(update={"postgres_dsn": SecretStr(foreign)}), until_ready=False) as client:
        async with client.get(f"/sessions/{SESSION}") as answer:
            assert (answer.status, (await answer.json())["session_id"]) == (200, SESSION)
        async with client.get("/events", params={"session_id": SESSION}) as answer:
            [event] = (await answer.json())["events"]

    assert (event["event_id"], event["occurred_at"]) == ("order-é", "2021-01-01T09:15:27.243860Z")


async def test_doctor_finds_nothing_wrong(foreign: str) -> None:
    findings = await check_postgres(Settings(postgres_dsn=SecretStr(foreign)))

    assert [finding for finding in findings if finding.what in ("Postgres", "migrations") and not finding.ok] == []


async def test_migrations_apply_whatever_the_defaults(foreign: str) -> None:
    with psycopg.connect(
        foreign, autocommit=True, client_encoding="UTF8", options="-c statement_timeout=0 -c lock_timeout=0"
    ) as connection:
        connection.execute("drop schema eye cascade")

    assert await migrate(foreign)
    assert await pending(foreign) == []


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
async def test_another_encoding_is_refused_before_anything(empty: str, encoding: str) -> None:
    name = f"{conninfo_to_dict(empty)['dbname']}_{encoding.lower()}"
    create = sql.SQL("create database {} encoding {} locale 'C' template template0")
    with psycopg.connect(empty, autocommit=True) as admin:
        admin.execute(create.format(sql.Identifier(name), sql.Literal(encoding)))
        try:
            dsn = psycopg.conninfo.make_conninfo(empty, dbname=name)

            with pytest.raises(EncodingError, match=f"encoding is {encoding}; create it with ENCODING 'UTF8'"):
                await migrate(dsn)
            findings = await check_postgres(Settings(postgres_dsn=SecretStr(dsn)))

            [finding] = [finding for finding in findings if not finding.ok]
            assert f"encoding is {encoding}" in finding.seen
            with psycopg.connect(dsn) as connection:
                assert connection.execute("select count(*) from pg_namespace where nspname = 'eye'").fetchone() == (0,)
        finally:
            admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


async def test_a_role_without_create_is_told_the_grant(empty: str) -> None:
    database = str(conninfo_to_dict(empty)["dbname"])
    with psycopg.connect(empty, autocommit=True) as admin:
        admin.execute("create role eye_test_no_create login password 'other'")
        try:
            dsn = psycopg.conninfo.make_conninfo(empty, user="eye_test_no_create", password="other")

            with pytest.raises(MigrationError) as refused:
                await migrate(dsn)

            [_, grant] = str(refused.value).split("run: ")
            assert grant == f'grant create on database "{database}" to "eye_test_no_create";'
            admin.execute(grant.encode())
            assert await migrate(dsn)
        finally:
            admin.execute("drop owned by eye_test_no_create cascade")
            admin.execute("drop role eye_test_no_create")


async def test_nothing_of_a_session_is_left_on_the_connection(dsn: str) -> None:
    async with await Connection.connect(dsn, session=Session(read_only=True, lock_ms=123)) as connection:
        inside = await (await connection.execute("select current_setting('lock_timeout')")).fetchone()
        raw = connection.pgconn.exec_(b"show lock_timeout").get_value(0, 0)

    assert (inside, raw) == (("123ms",), b"0")


def test_a_reading_transaction_can_not_write(dsn: str) -> None:
    with pytest.raises(psycopg.errors.ReadOnlySqlTransaction), read_transaction(dsn) as connection:
        connection.execute("delete from eye.events")


async def test_two_transactions_of_one_connection_follow_each_other(dsn: str) -> None:
    async with await Connection.connect(dsn) as connection:
        for _ in range(2):
            async with connection.transaction(), connection.transaction():
                await connection.execute("select 1")
        await asyncio.sleep(0)

    assert connection.closed
