"""Reads and their database: it may be away, without tables, or slow; listings use its indexes."""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from pathlib import Path
from typing import Any

import psycopg
import pytest
from aiohttp import ClientSession
from pydantic import SecretStr

from gateway.query.errors import ERRORS
from gateway.query.events import EVENTS
from gateway.query.listing import Listing
from gateway.query.sessions import SESSIONS
from schemas.settings import Settings
from sinks.postgres.migrate import migrate
from tests.integration.gateway.reads.stored_rows import SECOND, START, a_session_row, get, store
from tests.integration.gateway.test_json_builders import a_gateway, eventually
from tests.support.servers import Infra
from tests.support.stopwatch import Stopwatch


async def test_reads_wait_for_no_database_that_is_away(settings: Settings) -> None:
    dsn = psycopg.conninfo.make_conninfo(settings.dsn, port="1")
    away = settings.model_copy(update={"postgres_dsn": SecretStr(dsn)})

    async with a_gateway(away) as client:
        async with client.get("/events") as answer:
            problem = await answer.json()
        async with client.get("/readyz") as ready:
            checks = (await ready.json())["checks"]

    assert (answer.status, problem["code"]) == (503, "postgres_unavailable")
    assert "Retry-After" in answer.headers
    assert ready.status == 200
    assert "away" in checks["postgres"]


async def test_reads_go_on_as_soon_as_the_database_is_back(settings: Settings, infra: Infra, tmp_path: Path) -> None:
    server = infra.make_postgres(tmp_path / "postgres")
    await asyncio.to_thread(server.start)
    await migrate(server.dsn)

    async with a_gateway(settings.model_copy(update={"postgres_dsn": SecretStr(server.dsn)})) as client:
        assert (await get(client, "/events"))[0] == 200
        server.kill()
        for _ in range(8):
            assert (await get(client, "/events"))[0] == 503
        await asyncio.to_thread(server.start)
        watch = Stopwatch()
        await eventually(lambda: is_readable(client))
        assert watch.seconds < 5
    server.stop()


async def is_readable(client: ClientSession) -> bool:
    return (await get(client, "/events"))[0] == 200


async def test_a_database_without_tables_is_no_server_error(settings: Settings, client: ClientSession) -> None:
    with psycopg.connect(settings.dsn) as connection:
        connection.execute("drop schema eye cascade")

    status, problem = await get(client, "/events")

    assert (status, problem["code"]) == (503, "postgres_unavailable")
    assert "eye migrate" in problem["detail"]


async def test_a_connection_that_was_cut_is_made_anew(settings: Settings, client: ClientSession) -> None:
    assert (await get(client, "/events"))[0] == 200
    with psycopg.connect(settings.dsn, autocommit=True) as connection:
        cut = connection.execute(
            "select pg_terminate_backend(pid, 10_000) from pg_stat_activity"  # returns when it has ended
            " where pid <> pg_backend_pid() and datname = current_database()"
        )
        assert cut.rowcount >= 1

    assert (await get(client, "/events"))[0] == 200


async def test_a_read_that_takes_too_long_is_ended(settings: Settings) -> None:
    impatient = settings.model_copy(update={"statement_timeout_seconds": 0.1})
    store(settings, "sessions", [a_session_row()])
    with psycopg.connect(settings.dsn) as connection:
        connection.execute("alter table eye.sessions rename to kept")
        connection.execute("create view eye.sessions as select kept.* from eye.kept, pg_sleep(10)")

    async with a_gateway(impatient, until_ready=False) as client:
        status, problem = await get(client, "/sessions/s-0")

    assert (status, problem["code"]) == (503, "read_timeout")


# of many types within one second, so that only the index by type is selective
_MANY_EVENTS = """
insert into eye.events (
    event_id, application, session_id, category, name, occurred_at, received_at, schema_version, data
)
select gen_random_uuid(), 'shop', 's' || i %% 100, 'c' || i %% 100, 'n', moment, moment, 1, '{}'
from generate_series(1, 2000) i cross join lateral (select %(start)s + i * interval '0.1 ms' as moment) at
"""

INDEXED = [
    (EVENTS, {"session_id": "s"}, "session_id"),
    (EVENTS, {"category": "c", "name": "n", "from": START, "to": START + SECOND}, "category"),
    (EVENTS, {"from": START, "to": START + SECOND}, "occurred_at"),
    (EVENTS, {"from": START, "to": START + SECOND, "order": "desc"}, "occurred_at"),
    (ERRORS, {"from": START, "to": START + SECOND}, "received_at"),
    (ERRORS, {"code": "bad_value"}, "codes"),
    (SESSIONS, {"from": START, "to": START + SECOND}, "started_at"),
]


@pytest.mark.parametrize(("listing", "given", "column"), INDEXED)
async def test_a_listing_uses_an_index(settings: Settings, listing: Listing, given: Any, column: str) -> None:
    with psycopg.connect(settings.dsn) as connection:
        connection.execute(_MANY_EVENTS, {"start": START})
        connection.execute("analyze eye.events")
        connection.execute("set enable_seqscan = off")
        query = b"explain (format json) " + listing.sql(given).encode()
        plan = connection.execute(query, {**given, "limit": 10}).fetchone()

    assert re.search(rf'"(Index|Recheck) Cond": "[^"]*{column}', json.dumps(plan))


async def test_a_page_further_on_is_found_by_the_index(settings: Settings) -> None:
    given = {"session_id": "s", "moment": START, "id": str(uuid.UUID(int=1)), "application": "shop", "limit": 10}
    with psycopg.connect(settings.dsn) as connection:
        connection.execute("set enable_seqscan = off")
        query = b"explain (format json) " + EVENTS.sql({"session_id": "s"}, resumed=True).encode()
        plan = json.dumps(connection.execute(query, given).fetchone())

    assert re.search(r'"Index Cond": "[^"]*session_id[^"]*ROW\([^"]*occurred_at, [^"]*event_id\) >=', plan)
