"""The fast path: a request is answered without aiohttp's request, as aiohttp would."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from typing import Any

import pytest

from gateway.ingest import tolerant_reader
from gateway.outgoing import Outcome, OutgoingRecord
from tests.unit.gateway.connections.one_connection import EVENT, Door, sample, under


def parts(answer: bytes) -> tuple[list[str], Any]:
    """Return an answer's head without its date, in alphabetical order, and its body without ids."""
    head, _, body = answer.partition(b"\r\n\r\n")
    told = re.sub(rb'"event_id":"[^"]*"', b'"event_id":"..."', body)
    return sorted(line for line in head.decode().split("\r\n") if not line.startswith("Date: ")), json.loads(told)


@pytest.mark.parametrize("body", [EVENT, b"[" + EVENT + b", " + EVENT + b"]", b'{"events": [' + EVENT + b"]}"])
@pytest.mark.parametrize("durable", [True, False])
async def test_an_accepted_request_is_answered_as_aiohttp_would(door: Door, body: bytes, durable: bool) -> None:
    door.durable = durable
    door.connection.data_received(door.post(body))
    assert await door.answered() == [202 if durable else 503]
    plain, door.wire.answers = door.wire.answers, b""
    assert door.by_aiohttp == 0

    door.connection.data_received(door.post(body, "Prefer: nothing"))
    await door.answered()

    assert door.by_aiohttp == 1
    assert parts(plain) == parts(door.wire.answers)


@pytest.mark.parametrize(
    ("request_line", "body", "headers", "status"),
    [
        ("POST /events/ HTTP/1.0", EVENT, (), 202),
        ("POST /events?x=1 HTTP/1.1", EVENT, (), 202),
        ("POST /events/validate HTTP/1.1", EVENT, (), 200),
        ("POST /events HTTP/1.1", EVENT, ("Connection: close",), 202),
        ("POST /events HTTP/1.1", EVENT, ("Prefer: handling=strict",), 422),
        ("POST /events HTTP/1.1", b"", (), 400),
        ("POST /events HTTP/1.1", b"{", (), 400),
        ("POST /events HTTP/1.1", b"[]", (), 422),
        ("POST /events HTTP/1.1", b"[1, " + EVENT + b"]", (), 202),
        ("POST /events HTTP/1.1", EVENT, ("Content-Encoding: gzip",), 400),
    ],
)
async def test_any_other_request_is_handled_by_aiohttp(
    door: Door, request_line: str, body: bytes, headers: Sequence[str], status: int
) -> None:
    door.connection.data_received(door.post(body, *headers, line=request_line))

    assert re.findall(rb"HTTP/1\.[01] (\d{3}) ", (await something(door)))[0] == b"%d" % status
    assert door.by_aiohttp == 1


async def something(door: Door) -> bytes:
    async with asyncio.timeout(60):
        while b"}" not in door.wire.answers:  # noqa: ASYNC110 - a transport tells nobody
            await asyncio.sleep(0)
    return door.wire.answers


ODD = [
    b"",
    b" ",
    b"{}",
    b"[]",
    b"null",
    b"1",
    b'"x"',
    b"[[]]",
    b"{",
    b"[",
    b"\xff",
    b"\x00",
    b"NaN",
    b"\xef\xbb\xbf" + EVENT,
    b"\n" + EVENT + b"\n",
    EVENT + b"x",
    EVENT + EVENT,
    EVENT.replace(b'"s"', b'""'),
    EVENT.replace(b'"s"', b"7"),
    EVENT.replace(b'"s"', b'"\\u0000"'),
    EVENT.replace(b'"s"', b'"\\ud800"'),
    EVENT.replace(b'"s"', b'"\xff"'),
    EVENT.replace(b'"s"', b'"' + b"s" * 129 + b'"'),
    EVENT.replace(b"{}", b"NaN"),
    EVENT.replace(b"{}", b"[" * 5000),
    EVENT.replace(b"{}", b"[" * 5000 + b"]" * 5000),
    EVENT.replace(b"{}", b'"' + b"x" * 70_000 + b'"'),
    EVENT[:-1] + b', "event_id": 1}',
    EVENT[:-1] + b', "event_id": ""}',
    EVENT[:-1] + b', "event_id": "mine"}',
    EVENT[:-1] + b', "session_id": "t"}',
    EVENT[:-1] + b', "events": []}',
    b'{"events": 1}',
    b'{"events": []}',
    b'{"events": [1]}',
    b"[" + EVENT + b",]",
    b"[" + EVENT + b", null]",
    b"[" + b",".join([EVENT] * 1000) + b"]",
]


@pytest.mark.parametrize("body", ODD, ids=range(len(ODD)))
async def test_any_body_is_answered_as_aiohttp_would(door: Door, body: bytes) -> None:
    door.connection.data_received(door.post(body))
    await door.answered()
    first, door.wire.answers = door.wire.answers, b""

    door.connection.data_received(door.post(body, "Prefer: nothing"))
    await door.answered()

    assert parts(first) == parts(door.wire.answers)


@under(max_request_bytes=1000)
async def test_a_small_bound_of_the_body_holds(door: Door) -> None:
    door.connection.data_received(door.post(b"[" + b",".join([EVENT] * 20) + b"]"))

    assert await door.answered() == [413]


async def test_the_body_of_a_limited_application_is_not_read(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    file = door.gateway.settings.applications_file
    file.write_text(file.read_text().replace('id = "shop"', 'id = "shop"\nrate = 0.001\nburst = 1'))
    door.connection.data_received(door.post())
    assert await door.answered() == [202]
    read: list[bytes] = []
    for reading in ("read", "read_fast"):
        monkeypatch.setattr(door.gateway.bodies.reader, reading, read.append)

    door.connection.data_received(door.post())

    assert await door.answered(2) == [202, 429]
    assert read == []


@pytest.mark.parametrize(
    ("body", "status", "slow_looks"),
    [
        (b'{"session_id": 5}', 422, 1),
        (b"[1]", 422, 1),
        (b'[{"session_id": "s"}, {"session_id": 5}]', 202, 1),
        (b'[{"session_id": "s"}, {"session_id": "t"}]', 202, 0),
    ],
)
async def test_a_body_is_looked_at_slowly_once_where_it_has_to_be(
    door: Door, monkeypatch: pytest.MonkeyPatch, body: bytes, status: int, slow_looks: int
) -> None:
    looks: list[bytes] = []
    slow_look = tolerant_reader.read_ids

    def look(value: bytes) -> tolerant_reader.EventIds:
        looks.append(value)
        return slow_look(value)

    monkeypatch.setattr(tolerant_reader, "read_ids", look)
    door.connection.data_received(door.post(body))

    assert await door.answered() == [status]
    assert len(looks) == slow_looks


async def test_a_bug_is_answered_as_a_problem(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    async def broken(_: Sequence[OutgoingRecord]) -> list[Outcome]:
        raise ZeroDivisionError

    door.gateway.publisher.publish = broken  # type: ignore[method-assign, assignment]
    door.connection.data_received(door.post())

    assert await door.answered() == [500]
    assert parts(door.wire.answers)[1]["code"] == "internal_error"
    assert "ZeroDivisionError" in caplog.text


async def test_accepted_requests_are_counted_by_route_and_status(door: Door) -> None:
    for path in ("/events", "/events/", "/events/"):
        door.connection.data_received(door.post(line=f"POST {path} HTTP/1.1"))
        await door.answered()
        door.wire.answers = b""

    assert sample(door, "eye_gateway_requests_total", method="POST", route="/events", status="202") == 1
    assert sample(door, "eye_gateway_requests_total", method="POST", route="/events/", status="202") == 2
    assert sample(door, "eye_gateway_request_seconds_count", route="/events/") == 2
    assert sample(door, "eye_gateway_events_total", application="shop", status="ok") == 3
