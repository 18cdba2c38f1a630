"""deploy/postgres/roles.sql: each role can do its part, and no more."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from pydantic import SecretStr

from postgres_client.connection import Connection
from schemas.settings import Settings
from sinks.months import make_partitions
from sinks.postgres.migrate import migrate, pending
from sinks.postgres.pool import make_pool
from sinks.retention import Policy, take_out_expired
from tests.integration.gateway.test_json_builders import a_gateway

ROLES = Path(__file__).parents[3] / "deploy" / "postgres" / "roles.sql"
PASSWORD = "of-the-test"


@pytest.fixture
def roles(empty: str) -> Iterator[dict[str, str]]:
    """Lend connection strings of the roles, in a database of their own."""
    names = ("eye_migrate", "eye_operator", "eye_sinks", "eye_gateway")
    with psycopg.connect(empty, autocommit=True) as connection:
        connection.execute(ROLES.read_bytes())
        connection.execute(ROLES.read_bytes())  # any number of times
        for name in names:
            alter = sql.SQL("alter role {} password {}")
            connection.execute(alter.format(sql.Identifier(name), sql.Literal(PASSWORD)))
    yield {name: psycopg.conninfo.make_conninfo(empty, user=name, password=PASSWORD) for name in names}
    with psycopg.connect(empty, autocommit=True) as connection:
        for name in names:
            connection.execute(sql.SQL("drop owned by {} cascade").format(sql.Identifier(name)))
            connection.execute(sql.SQL("drop role {}").format(sql.Identifier(name)))


async def test_the_owner_migrates_and_the_sinks_make_partitions(roles: dict[str, str]) -> None:
    await migrate(roles["eye_migrate"])

    async with make_pool(Settings(postgres_dsn=SecretStr(roles["eye_sinks"]))) as pool:
        made = await make_partitions(pool)
        async with pool.connection() as connection:
            past = await connection.execute("select eye.make_historical_partition('2020-01-01Z')")
            assert await past.fetchone() == ("events_2020_01",)

    assert len(made) == 5
    assert await pending(roles["eye_sinks"]) == await pending(roles["eye_gateway"]) == []


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        ("eye_sinks", "drop table eye.events"),
        ("eye_sinks", "create table eye.another (x int)"),
        ("eye_sinks", "alter table eye.events detach partition eye.events_default"),
        ("eye_gateway", "select eye.drop_event_partition('events_2020_01')"),
        ("eye_gateway", "insert into eye.sink_positions values ('s', 't', 0, 0)"),
        ("eye_gateway", "select * from eye.make_event_partitions(3)"),
        ("eye_gateway", "select eye.make_historical_partition('2020-01-01Z')"),
        ("eye_gateway", "create table public.another (x int)"),
    ],
)
async def test_no_role_can_do_more_than_its_part(roles: dict[str, str], role: str, statement: str) -> None:
    await migrate(roles["eye_migrate"])

    with psycopg.connect(roles[role]) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement.encode())


async def test_the_readers_role_finds_events_by_their_id(roles: dict[str, str]) -> None:
    await migrate(roles["eye_migrate"])

    with psycopg.connect(roles["eye_gateway"]) as connection:
        found = connection.execute("select * from eye.find_event('order-7', 'shop')").fetchall()

    assert found == []


@pytest.mark.parametrize("role", ["eye_sinks", "eye_operator"])
async def test_expired_months_are_dropped_with_the_sinks_rights(roles: dict[str, str], role: str) -> None:
    await migrate(roles["eye_migrate"])
    with psycopg.connect(roles["eye_migrate"]) as owner:
        owner.execute(
            "create table eye.events_2020_01 partition of eye.events for values from ('2020-01-01Z') to ('2020-02-01Z')"
        )
    policy = Policy(timedelta(days=90), timedelta(days=30), timedelta(days=30), timedelta(days=10))

    async with await Connection.connect(roles[role]) as connection:
        taken = await take_out_expired(connection, policy, datetime.now(UTC))

    assert taken is not None
    assert taken.partitions == ["events_2020_01"]


@pytest.mark.parametrize("name", ["events_default", "sessions", "events_2020_01; drop table eye.sessions"])
async def test_only_monthly_partitions_are_dropped(roles: dict[str, str], name: str) -> None:
    await migrate(roles["eye_migrate"])

    with psycopg.connect(roles["eye_sinks"]) as connection, pytest.raises(psycopg.errors.InvalidParameterValue):
        connection.execute("select eye.drop_event_partition(%s)", (name,))


async def test_the_gateway_reads_with_its_own_role_and_needs_no_other(
    settings: Settings, roles: dict[str, str]
) -> None:
    await migrate(roles["eye_migrate"])
    own = {"postgres_dsn": None, "postgres_read_dsn": SecretStr(roles["eye_gateway"])}

    async with a_gateway(settings.model_copy(update=own)) as client, client.get("/sessions") as answer:
        assert (answer.status, await answer.json()) == (200, {"sessions": [], "next": None})
