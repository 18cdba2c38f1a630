"""Reads: what stands in Postgres, as applications ask for it."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from aiohttp import ClientSession

from schemas.ids import row_id
from schemas.settings import Settings
from tests.integration.gateway.reads.stored_rows import (
    SECOND,
    START,
    a_rejected_row,
    a_session_row,
    a_stored_event,
    get,
    pages,
    store,
    store_events,
)


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


@pytest.mark.parametrize("path", ["/events", "/errors", "/sessions"])
async def test_a_listing_is_read_from_its_end(settings: Settings, client: ClientSession, path: str) -> None:
    times = [START + number // 3 * SECOND for number in range(7)]
    store_events(settings, [a_stored_event(number, occurred_at=time) for number, time in enumerate(times)])
    store(settings, "rejected_events", [a_rejected_row(number, received_at=time) for number, time in enumerate(times)])
    store(settings, "sessions", [a_session_row(number, started_at=time) for number, time in enumerate(times)])

    forward = await pages(client, path, path[1:], limit=2)
    backward = await pages(client, path, path[1:], limit=2, order="desc")

    assert [len(page) for page in backward] == [2, 2, 2, 1]
    assert [item for page in backward for item in page] == [item for page in forward for item in page][::-1]


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
    assert await numbers(from_="2021-01-01", to="yesterday") == [0, 1, 2, 3]
    assert await numbers(from_="10m") == []


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


async def test_a_corrected_event_tells_what_was_sent_and_the_offset(settings: Settings, client: ClientSession) -> None:
    store_events(settings, [a_stored_event(timestamp_sent=START, clock_offset_ms=-7200000), a_stored_event(1)])
    store(settings, "sessions", [a_session_row(1, clock_offset_ms=-7200000)])

    _, answer = await get(client, "/events")
    _, session = await get(client, "/sessions/s-1")

    corrected, other = answer["events"]
    assert (corrected["timestamp_sent"], corrected["clock_offset_ms"]) == ("2021-01-01T09:15:27.243860Z", -7200000)
    assert {"timestamp_sent", "clock_offset_ms"}.isdisjoint(other)
    assert session["clock_offset_ms"] == -7200000


async def test_a_session_chooses_among_events_with_one_id(settings: Settings, client: ClientSession) -> None:
    """Of two applications, say, that happened to use the same UUID."""
    store_events(settings, [a_stored_event(0), a_stored_event(0, application="blog", session_id="s-2")])
    store(settings, "rejected_events", [a_rejected_row(1, session_id="s-3")])
    event, rejected = uuid.UUID(int=1), uuid.UUID(int=2)

    found = {
        (one, session): await get(client, f"/events/{one}", session_id=session)
        for one in (event, rejected)
        for session in ("s-1", "s-2", "s-3", "")
    }

    assert {place: status for place, (status, _) in found.items() if status != 200} == {
        (event, "s-3"): 404, (rejected, "s-1"): 404, (rejected, "s-2"): 404,
    }  # fmt: skip
    applications = [found[event, session][1]["application"] for session in ("s-1", "s-2", "")]
    assert applications == ["shop", "blog", "shop"]
    assert found[rejected, "s-3"][1]["status"] == found[rejected, ""][1]["status"] == "rejected"


async def test_a_session_is_read_with_its_events(settings: Settings, client: ClientSession) -> None:
    store(settings, "sessions", [a_session_row(1), a_session_row(2, session_id="ü /?{}")])
    store_events(settings, [a_stored_event(number, session_id="ü /?{}") for number in range(3)])
    store_events(settings, [a_stored_event(9, session_id="s-1")])

    _, summary = await get(client, "/sessions/s-1")
    _, events = await get(client, "/sessions/%C3%BC%20%2F%3F%7B%7D/events", limit=2)

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
    assert [event["session_id"] for event in events["events"]] == ["ü /?{}"] * 2
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
        a_rejected_row(2, codes=["missing_field"], category=None, name=None, session_id="s-3"),
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
    assert await ids(session_id="s-3") == own[2:3]
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
    ("/events", "from=2021-02-30"),
    ("/events", "from=someday"),
    ("/events", "order=down"),
    ("/events", "to=2021-13-01T00:00:00"),
    ("/events", "cursor=abc"),
    ("/events", "session_id=%00"),
    ("/events", "session=s-1"),
    ("/events/some-id", "x=1"),
    ("/sessions", "status=ajar"),
    ("/sessions", "category=x"),
    ("/sessions/s", "limit=1"),
    ("/sessions/s/events", "session_id=t"),
    ("/errors", "revision=1"),
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
    assert (await get(client, "/events", cursor=answer["next"], order="desc"))[0] == 400
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
