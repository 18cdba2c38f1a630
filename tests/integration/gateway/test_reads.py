"""Reads: what stands in Postgres, as applications ask for it."""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from aiohttp import ClientSession
from psycopg.types.json import Json
from pydantic import SecretStr

from gateway.query.errors import ERRORS
from gateway.query.events import EVENTS
from gateway.query.listing import Listing
from gateway.query.sessions import SESSIONS
from schemas.ids import row_id
from schemas.settings import Settings
from sinks.postgres.migrate import migrate
from tests.integration.gateway.test_json_builders import a_gateway, eventually
from tests.support.servers import Infra
from tests.support.stopwatch import Stopwatch

START = datetime(2021, 1, 1, 9, 15, 27, 243860, UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture
async def client(settings: Settings) -> AsyncIterator[ClientSession]:
    """Lend a client of a gateway that needn't have Kafka."""
    async with a_gateway(settings, until_ready=False) as made:
        yield made


def store(settings: Settings, table: str, rows: Sequence[dict[str, Any]]) -> None:
    """Write rows as the sinks would."""
    with psycopg.connect(settings.dsn) as connection:
        for row in rows:
            names, values = ", ".join(row), ", ".join(f"%({name})s" for name in row)
            connection.execute(f"insert into eye.{table} ({names}) values ({values})".encode(), row)


def a_stored_event(number: int = 0, **columns: Any) -> dict[str, Any]:
    row = {
        "event_id": uuid.UUID(int=number + 1),
        "application": "shop",
        "session_id": "s-1",
        "category": "page interaction",
        "name": "pageview",
        "occurred_at": START + number * SECOND,
        "received_at": START + number * SECOND,
        "schema_version": 1,
        "data": '{"path": "/"}',
    }
    return row | columns


def store_events(settings: Settings, rows: Sequence[dict[str, Any]]) -> None:
    store(settings, "events", rows)
    keys = ("event_id", "application", "occurred_at")
    store(settings, "event_keys", [{key: row[key] for key in keys} for row in rows])


def a_rejected_row(number: int = 0, **columns: Any) -> dict[str, Any]:
    codes = columns.get("codes", ["bad_value"])
    row = {
        "event_id": uuid.UUID(int=number + 1),
        "application": "shop",
        "session_id": None,
        "category": "page interaction",
        "name": "pageview",
        "timestamp": "yesterday",
        "received_at": START + number * SECOND,
        "codes": codes,
        "errors": Json([{"code": code, "path": "$.name", "message": "no"} for code in codes]),
        "raw": '{"name": "?"}',
        "raw_encoding": "utf-8",
        "raw_truncated": False,
    }
    return row | columns


def a_session_row(number: int = 0, **columns: Any) -> dict[str, Any]:
    row = {
        "session_id": f"s-{number}",
        "applications": ["shop", "blog"],
        "revision": 3,
        "status": "open",
        "started_at": START + number * SECOND,
        "ended_at": START + number * SECOND,
        "event_count": 2,
        "rejected_count": 1,
        "counts_by_type": Json({"page interaction/pageview": 2}),
        "first_event_id": "a",
        "last_event_id": "b",
        "updated_at": START + number * SECOND,
    }
    return row | columns


async def get(client: ClientSession, path: str, **parameters: Any) -> tuple[int, Any]:
    async with client.get(path, params={name.rstrip("_"): str(value) for name, value in parameters.items()}) as answer:
        return answer.status, await answer.json()


async def pages(client: ClientSession, path: str, member: str, **parameters: Any) -> list[list[Any]]:
    """Follow `next` to the end."""
    found: list[list[Any]] = []
    cursor: dict[str, str] = {}
    while True:
        status, answer = await get(client, path, **parameters, **cursor)
        assert status == 200
        found.append(answer[member])
        if answer["next"] is None:
            return found
        cursor = {"cursor": answer["next"]}


async def test_an_event_is_read_as_it_was_stored(settings: Settings, client: ClientSession) -> None:
    store_events(settings, [a_stored_event(data='{"n": 1180591620717411303424, "x": 1.50, "u": "ü😀"}')])

    status, answer = await get(client, "/events")

    assert (status, answer["next"]) == (200, None)
    assert answer["events"] == [
        {
            "event_id": "00000000-0000-0000-0000-000000000001",
            "application": "shop",
            "session_id": "s-1",
            "category": "page interaction",
            "name": "pageview",
            "occurred_at": "2021-01-01T09:15:27.243860Z",
            "received_at": "2021-01-01T09:15:27.243860Z",
            "schema_version": 1,
            "data": {"n": 2**70, "x": 1.5, "u": "ü😀"},
        }
    ]


async def test_pages_hold_every_event_once_and_in_order(settings: Settings, client: ClientSession) -> None:
    # the same time, and even the same id, are no reason to lose one
    rows = [a_stored_event(number, occurred_at=START + number // 4 * SECOND) for number in range(10)]
    rows += [a_stored_event(3, application="blog", occurred_at=START)]
    store_events(settings, rows)

    found = await pages(client, "/events", "events", limit=2)

    assert [len(page) for page in found] == [2, 2, 2, 2, 2, 1]
    order = [(event["occurred_at"], event["event_id"], event["application"]) for page in found for event in page]
    assert order == sorted(order)
    assert len(set(order)) == 11


async def test_events_are_found_by_session_type_and_time(settings: Settings, client: ClientSession) -> None:
    others = [{"session_id": "s-2"}, {"category": "form interaction", "name": "submit"}, {"name": "cta click"}]
    store_events(settings, [a_stored_event(number, **columns) for number, columns in enumerate([{}, *others])])

    async def numbers(**parameters: Any) -> list[int]:
        _, answer = await get(client, "/events", **parameters)
        return [uuid.UUID(event["event_id"]).int - 1 for event in answer["events"]]

    assert await numbers(session_id="s-1") == [0, 2, 3]
    assert await numbers(category="page interaction") == [0, 1, 3]
    assert await numbers(category="page interaction", name="cta click") == [3]
    assert await numbers(session_id="s-2", name="cta click") == []
    assert await numbers(from_=START + SECOND, to=START + 3 * SECOND) == [1, 2]
    assert await numbers(to="2021-01-01 09:15:27.243860") == []
    assert await numbers(to="2021-01-01T10:15:27.243861+01:00") == [0]
    assert await numbers(session_id="", limit="") == [0, 1, 2, 3]


async def test_one_event_is_found_by_its_id(settings: Settings, client: ClientSession) -> None:
    known = row_id("shop", "my id/1")
    store_events(settings, [a_stored_event(), a_stored_event(1, event_id=known, client_event_id="my id/1")])
    store(settings, "rejected_events", [a_rejected_row(2), a_rejected_row(3, event_id=row_id("shop", "bad one"))])

    _, stored = await get(client, f"/events/{uuid.UUID(int=1)}")
    _, by_own_id = await get(client, "/events/my%20id%2F1")
    _, rejected = await get(client, f"/events/{uuid.UUID(int=3)}")
    status, problem = await get(client, f"/events/{uuid.UUID(int=99)}")

    assert (stored["status"], stored["session_id"]) == ("stored", "s-1")
    assert (by_own_id["status"], by_own_id["event_id"]) == ("stored", "my id/1")
    assert rejected == {
        "event_id": str(uuid.UUID(int=3)),
        "application": "shop",
        "session_id": None,
        "category": "page interaction",
        "name": "pageview",
        "timestamp": "yesterday",
        "received_at": "2021-01-01T09:15:29.243860Z",
        "errors": [{"code": "bad_value", "path": "$.name", "message": "no"}],
        "raw": '{"name": "?"}',
        "raw_encoding": "utf-8",
        "raw_truncated": False,
        "status": "rejected",
    }
    assert (await get(client, "/events/bad%20one"))[1]["status"] == "rejected"
    assert (status, problem["code"]) == (404, "not_found")
    for path in ("/events/of%20another", "/events/%00", "/events/%FF", "/events/validate"):
        assert (await get(client, path))[0] in (404, 405)


async def test_of_two_events_with_one_id_the_callers_own_is_found(settings: Settings, client: ClientSession) -> None:
    rows = [a_stored_event(0, application=application) for application in ("blog", "shop", "zoo")]
    store_events(settings, rows)

    _, answer = await get(client, f"/events/{uuid.UUID(int=1)}")

    assert answer["application"] == "shop"


async def test_a_session_is_read_with_its_events(settings: Settings, client: ClientSession) -> None:
    store(settings, "sessions", [a_session_row(1), a_session_row(2, session_id="ü /?")])
    store_events(settings, [a_stored_event(number, session_id="ü /?") for number in range(3)])
    store_events(settings, [a_stored_event(9, session_id="s-1")])

    _, summary = await get(client, "/sessions/s-1")
    _, events = await get(client, "/sessions/%C3%BC%20%2F%3F/events", limit=2)

    assert summary == {
        "session_id": "s-1",
        "applications": ["shop", "blog"],
        "revision": 3,
        "status": "open",
        "started_at": "2021-01-01T09:15:28.243860Z",
        "ended_at": "2021-01-01T09:15:28.243860Z",
        "event_count": 2,
        "rejected_count": 1,
        "counts_by_type": {"page interaction/pageview": 2},
        "first_event_id": "a",
        "last_event_id": "b",
        "updated_at": "2021-01-01T09:15:28.243860Z",
    }
    assert [event["session_id"] for event in events["events"]] == ["ü /?"] * 2
    assert (await get(client, "/sessions/unknown"))[0] == 404
    assert await get(client, "/sessions/unknown/events") == (200, {"events": [], "next": None})


async def test_sessions_are_listed_by_their_start(settings: Settings, client: ClientSession) -> None:
    rows = [a_session_row(number, started_at=START + number // 3 * SECOND) for number in range(7)]
    rows += [a_session_row(8, status="closed"), a_session_row(9, started_at=None, ended_at=None)]
    store(settings, "sessions", rows)

    async def names(**parameters: Any) -> list[list[str]]:
        found = await pages(client, "/sessions", "sessions", **parameters)
        return [[session["session_id"] for session in page] for page in found]

    assert await names(limit=4) == [["s-0", "s-1", "s-2", "s-3"], ["s-4", "s-5", "s-6", "s-8"]]
    assert await names(status="closed") == [["s-8"]]
    assert await names(from_=START + SECOND, to=START + 3 * SECOND) == [["s-3", "s-4", "s-5", "s-6"]]


async def test_rejected_events_are_listed_and_counted(settings: Settings, client: ClientSession) -> None:
    rows = [
        a_rejected_row(0),
        a_rejected_row(1, codes=["bad_value", "missing_field"], name="cta click"),
        a_rejected_row(2, codes=["missing_field"], category=None, name=None),
        a_rejected_row(3, client_event_id="mine"),
    ]
    store(settings, "rejected_events", rows)

    async def ids(**parameters: Any) -> list[str]:
        return [error["event_id"] for page in await pages(client, "/errors", "errors", **parameters) for error in page]

    own = [str(uuid.UUID(int=number)) for number in (1, 2, 3)]
    assert await ids(limit=1) == [*own, "mine"]
    assert await ids(code="missing_field") == own[1:3]
    assert await ids(name="cta click") == own[1:2]
    assert await ids(code="missing_field", from_=START + 2 * SECOND) == own[2:3]
    assert await ids(code="no such") == []
    _, summary = await get(client, "/errors/summary")
    # the most frequent first, then by code and type; without a type last
    assert [(count["code"], count["name"], count["count"]) for count in summary["counts"]] == [
        ("bad_value", "pageview", 2),
        ("bad_value", "cta click", 1),
        ("missing_field", "cta click", 1),
        ("missing_field", None, 1),
    ]
    _, summary = await get(client, "/errors/summary", category="page interaction", to=START + SECOND)
    assert [count["count"] for count in summary["counts"]] == [1]


BAD = [
    ("/events", "limit=0"),
    ("/events", "limit=1001"),
    ("/events", "limit=ten"),
    ("/events", "limit=1&limit=2"),
    ("/events", "limit=%D9%A3"),
    ("/events", "from=2021-01-01"),
    ("/events", "from=yesterday"),
    ("/events", "to=2021-13-01T00:00:00"),
    ("/events", "cursor=abc"),
    ("/events", "session_id=%00"),
    ("/events", "session=s-1"),
    ("/events/some-id", "x=1"),
    ("/sessions", "status=ajar"),
    ("/sessions", "category=x"),
    ("/sessions/s", "limit=1"),
    ("/sessions/s/events", "session_id=t"),
    ("/errors", "session_id=s"),
    ("/errors/summary", "limit=1"),
    ("/schemas", "x=1"),
    ("/schemas/page%20interaction/pageview", "version=one"),
]


@pytest.mark.parametrize(("path", "query"), BAD)
async def test_a_bad_parameter_is_told(client: ClientSession, path: str, query: str) -> None:
    async with client.get(f"{path}?{query}") as answer:
        problem = await answer.json()

    assert (answer.status, problem["code"]) == (400, "bad_parameter")
    assert answer.content_type == "application/problem+json"


async def test_a_cursor_of_one_listing_is_none_of_another(settings: Settings, client: ClientSession) -> None:
    store_events(settings, [a_stored_event(number) for number in range(2)])
    _, answer = await get(client, "/events", limit=1)

    assert (await get(client, "/errors", cursor=answer["next"]))[0] == 400
    assert (await get(client, "/events", cursor=answer["next"]))[0] == 200


async def test_the_catalogue_is_listed_with_its_schemas(client: ClientSession) -> None:
    _, listed = await get(client, "/schemas")

    types = {(entry["category"], entry["name"]): entry for entry in listed["schemas"]}
    assert types["page interaction", "cta click"]["href"] == "/schemas/page%20interaction/cta%20click"
    for entry in listed["schemas"]:
        async with client.get(entry["href"]) as answer:
            schema = await answer.json()
            assert (answer.status, answer.content_type) == (200, "application/schema+json")
            assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert (await get(client, "/schemas/page%20interaction/pageview", version=1))[0] == 200
    assert (await get(client, "/schemas/page%20interaction/pageview", version=2))[0] == 404
    assert (await get(client, "/schemas/page%20interaction/dance"))[0] == 404


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
