"""Reads of any number of rows as NDJSON or CSV, of chosen members, and by values inside the payload."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import uuid
from typing import Any

import psycopg
import pytest
from aiohttp import ClientPayloadError, ClientSession

from schemas.settings import Settings
from tests.integration.gateway.reads.stored_rows import (
    START,
    a_rejected_row,
    a_session_row,
    a_stored_event,
    get,
    store,
    store_events,
)

MANY = 2_500
"""More rows than two pages have."""


def store_many(settings: Settings, number: int = MANY) -> None:
    """Store so many events in one statement."""
    with psycopg.connect(settings.dsn) as connection:
        connection.execute(
            """insert into eye.events (event_id, application, session_id, category, name, occurred_at, received_at,
                schema_version, data)
            select gen_random_uuid(), 'shop', 's' || i %% 7, 'c', 'n', moment, moment, 1,
                jsonb_build_object('n', i, 'host', 'h' || i %% 3)
            from generate_series(1, %(number)s) i
            cross join lateral (select %(start)s + i / 3 * interval '1 ms' as moment) at""",
            {"number": number, "start": START},
        )


async def export(client: ClientSession, path: str, **parameters: str) -> str:
    async with client.get(path, params=parameters) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.text()


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_an_export_has_every_row_once_and_in_order(settings: Settings, client: ClientSession, order: str) -> None:
    store_many(settings)

    lines = (await export(client, "/events", format="ndjson", order=order)).splitlines()
    events = [json.loads(line) for line in lines]

    keys = [(event["occurred_at"], event["event_id"]) for event in events]
    assert sorted(event["data"]["n"] for event in events) == list(range(1, MANY + 1))
    assert keys == sorted(keys, reverse=order == "desc")


async def test_a_limit_is_that_of_the_whole_export(settings: Settings, client: ClientSession) -> None:
    store_many(settings)

    assert len((await export(client, "/events", format="ndjson", limit="1200")).splitlines()) == 1200
    assert (await get(client, "/events", limit=1200))[0] == 400


async def test_csv_has_each_value_as_it_is(settings: Settings, client: ClientSession) -> None:
    data = '{"a": [1, 2], "big": 1180591620717411303424, "t": "x,\\"y\\"\\n"}'
    store_events(settings, [a_stored_event(session_id='a,"b"\r\nü', data=data)])

    answer = await export(client, "/events", format="csv", fields="session_id,occurred_at,user_id,data,data.big,data.t")

    header, row = csv.reader(io.StringIO(answer, newline=""))
    assert header == ["session_id", "occurred_at", "user_id", "data", "data.big", "data.t"]
    assert row[:3] == ['a,"b"\r\nü', "2021-01-01T09:15:27.243860Z", ""]
    assert json.loads(row[3]) == json.loads(data)
    assert row[4:] == [str(2**70), 'x,"y"\n']


async def test_csv_without_rows_has_its_header_alone(client: ClientSession) -> None:
    events, sessions, errors = [await export(client, p, format="csv") for p in ("/events", "/sessions", "/errors")]

    assert [text.count("\r\n") for text in (events, sessions, errors)] == [1, 1, 1]
    assert events.startswith("event_id,application,session_id,category,name,occurred_at,received_at")


async def test_every_listing_can_be_exported(settings: Settings, client: ClientSession) -> None:
    store_events(settings, [a_stored_event()])
    store(settings, "sessions", [a_session_row(1)])
    store(settings, "rejected_events", [a_rejected_row(2)])

    for path in ("/events", "/sessions/s-1/events", "/sessions", "/errors"):
        (line,) = (await export(client, path, format="ndjson")).splitlines()
        assert "session_id" in json.loads(line)


async def test_the_header_accept_chooses_the_format(settings: Settings, client: ClientSession) -> None:
    store_events(settings, [a_stored_event()])

    async with client.get("/events", headers={"Accept": "text/csv"}) as answer:
        assert answer.content_type == "text/csv"
        assert (await answer.text()).count("\r\n") == 2
    async with client.head("/events?format=csv") as answer:
        assert (answer.status, await answer.read()) == (200, b"")


async def test_fields_choose_members_and_values_inside(settings: Settings, client: ClientSession) -> None:
    store_events(settings, [a_stored_event(data='{"a": {"b": [10, 20]}, "x": null}'), a_stored_event(1)])

    _, page = await get(client, "/events", fields="data.a.b.1,event_id,data.x,user_id")

    assert page["events"] == [
        {"data.a.b.1": 20, "event_id": str(uuid.UUID(int=1)), "data.x": None, "user_id": None},
        {"data.a.b.1": None, "event_id": str(uuid.UUID(int=2)), "data.x": None, "user_id": None},
    ]


async def test_values_inside_the_payload_filter(settings: Settings, client: ClientSession) -> None:
    payloads = ['{"host": "h", "n": 1}', '{"host": "h", "n": 2}', '{"host": {"deep": "h"}, "n": 1.0}', "{}"]
    store_events(settings, [a_stored_event(number, data=data) for number, data in enumerate(payloads)])

    async def numbers(**parameters: Any) -> list[int]:
        async with client.get("/events", params=parameters) as answer:
            return [uuid.UUID(event["event_id"]).int - 1 for event in (await answer.json())["events"]]

    assert await numbers(**{"data.host": "h"}) == [0, 1]
    assert await numbers(**{"data.host": "h", "data.n": "2"}) == [1]
    assert await numbers(**{"data.host.deep": "h"}) == [2]
    assert await numbers(**{"data.host": "%"}) == []
    assert await numbers(**{"data.%(limit)s'": "x"}) == []


@pytest.mark.parametrize(
    "query",
    [
        "fields=nope",
        "fields=event_id,",
        "fields=data.",
        "fields=data.a..b",
        "data.=1",
        "data.a=1&data.a=2",
        "format=xml",
        "limit=0",
        "data." + "a." * 20 + "a=1",
        "&".join(f"data.a{n}=1" for n in range(21)),
    ],
)
async def test_bad_parameters_of_a_listing_are_told(client: ClientSession, query: str) -> None:
    async with client.get(f"/events?{query}") as answer:
        assert (answer.status, (await answer.json())["code"]) == (400, "bad_parameter")


async def test_an_export_that_breaks_off_has_no_end(settings: Settings, client: ClientSession) -> None:
    store_many(settings, 50_000)

    async with client.get("/events", params={"format": "ndjson"}) as answer:
        await answer.content.readany()
        with psycopg.connect(settings.dsn, autocommit=True) as connection:
            connection.execute("alter table eye.events rename to gone")
        try:
            with pytest.raises(ClientPayloadError):
                async with asyncio.timeout(30):
                    await answer.read()
        finally:
            with psycopg.connect(settings.dsn, autocommit=True) as connection:
                connection.execute("alter table eye.gone rename to events")
