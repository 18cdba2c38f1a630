"""The fast path: a request is answered without aiohttp's request, as aiohttp would."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from aiohttp import web

from eye.operations.keys import add_key
from gateway.app import build_app
from gateway.context import GATEWAY
from gateway.ingest import tolerant_reader
from gateway.outgoing import Outcome, OutgoingRecord
from schemas.settings import Settings

EVENT = b'{"session_id": "s", "category": "c", "name": "n", "timestamp": "2021-01-01", "data": {}}'


class Wire(asyncio.Transport):
    """The client's side: what was answered, and whether more is read."""

    def __init__(self) -> None:
        super().__init__()
        self.answers = b""
        self.reading = True
        self.closed = False

    def write(self, data: Any) -> None:
        self.answers += data

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True


class Door:
    """A gateway with one connection, whose publisher waits until it may go on."""

    def __init__(self, app: web.Application, runner: web.AppRunner, key: str) -> None:
        self.gateway = app[GATEWAY]
        self.gateway.publisher.publish = self._publish  # type: ignore[method-assign]
        self.key = key
        self.server = cast(web.Server, runner.server)
        self.durable = True
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.wire = Wire()
        self.connection = self.gateway.clients.connection(self.server)
        self.connection.connection_made(self.wire)

    async def _publish(self, records: Sequence[OutgoingRecord]) -> list[Outcome]:
        await self.go_on.wait()
        return [Outcome.DURABLE if self.durable else Outcome.RETRY] * len(records)

    def post(self, body: bytes = EVENT, *headers: str, line: str = "POST /events/ HTTP/1.1") -> bytes:
        lines = [line, "Host: x", f"Authorization: Bearer {self.key}", "Content-Type: application/json"]
        return "\r\n".join([*lines, f"Content-Length: {len(body)}", *headers, "", ""]).encode() + body

    async def answered(self, number: int = 1) -> list[int]:
        """Wait for so many answers, and return their statuses."""
        async with asyncio.timeout(60):
            while len(self.statuses) < number:  # noqa: ASYNC110 - a transport tells nobody
                await asyncio.sleep(0)
        return self.statuses

    @property
    def statuses(self) -> list[int]:
        return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", self.wire.answers)]

    @property
    def by_aiohttp(self) -> int:
        """The number of requests that aiohttp handled."""
        return self.server.requests_count


@pytest.fixture
async def door(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Door]:
    """Lend a gateway with its default settings, or with those that the test names by `under`."""
    changes = getattr(request, "param", {})
    settings = Settings.model_validate({"data_dir": tmp_path, "kafka_bootstrap_servers": "127.0.0.1:1", **changes})
    key = add_key(settings.applications_file, "shop", ["write"])
    app = build_app(settings)
    app.cleanup_ctx.clear()
    runner = web.AppRunner(app)
    await runner.setup()
    door = Door(app, runner, key)
    await asyncio.sleep(0)  # aiohttp's task begins to wait
    yield door
    door.go_on.set()
    door.connection.connection_lost(None)
    await runner.cleanup()


def under(**changes: Any) -> pytest.MarkDecorator:
    """Change settings of the gateway behind the door."""
    return pytest.mark.parametrize("door", [changes], indirect=True)


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


@under(head_seconds=0.05)
async def test_an_empty_line_begins_no_request(door: Door) -> None:
    door.go_on.clear()
    door.connection.data_received(door.post())
    door.connection.data_received(b"")
    door.connection.data_received(b"\r\n")
    door.go_on.set()
    assert await door.answered() == [202]

    await asyncio.sleep(0.1)  # longer than a head may take
    door.connection.data_received(door.post())

    assert await door.answered(2) == [202, 202]


async def test_nothing_received_is_nothing_to_wait_for(door: Door) -> None:
    door.go_on.clear()
    door.connection.data_received(door.post())
    door.connection.data_received(b"")

    assert door.wire.reading


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


async def test_pipelined_requests_wait_and_are_answered_in_order(door: Door) -> None:
    door.go_on.clear()
    door.connection.data_received(door.post())
    second = door.post(b"{")
    door.connection.data_received(second[:50])
    assert not door.wire.reading
    door.connection.data_received(second[50:] + door.post())
    assert door.statuses == []

    door.go_on.set()

    assert await door.answered(3) == [202, 400, 202]
    assert door.wire.reading


async def test_requests_that_come_all_at_once_are_answered_in_their_order(door: Door) -> None:
    posts = [door.post(EVENT[:-1] + b', "event_id": "p-%d"}' % number) for number in range(100)]

    door.connection.data_received(b"".join(posts) + door.post(b"{"))

    assert await door.answered(101) == [202] * 100 + [400]
    places = [door.wire.answers.index(b'"p-%d"' % number) for number in range(100)]
    assert places == sorted(places)


async def test_a_client_that_goes_before_its_answer_leaves_nothing_behind(door: Door) -> None:
    door.go_on.clear()
    door.connection.data_received(door.post())
    assert sample(door, "eye_gateway_requests_under_way") == 1

    door.connection.connection_lost(None)
    door.go_on.set()

    async with asyncio.timeout(60):
        while sample(door, "eye_gateway_requests_under_way"):  # noqa: ASYNC110 - asked, not told
            await asyncio.sleep(0)
    assert sample(door, "eye_gateway_bytes_under_way") == 0
    assert door.wire.answers == b""


async def test_a_bug_is_answered_as_a_problem(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    async def broken(_: Sequence[OutgoingRecord]) -> list[Outcome]:
        raise ZeroDivisionError

    door.gateway.publisher.publish = broken  # type: ignore[method-assign, assignment]
    door.connection.data_received(door.post())

    assert await door.answered() == [500]
    assert parts(door.wire.answers)[1]["code"] == "internal_error"
    assert "ZeroDivisionError" in caplog.text


async def test_while_stopping_an_answer_is_the_last_of_its_connection(door: Door) -> None:
    door.go_on.clear()
    door.connection.data_received(door.post())
    door.gateway.clients.closing = True
    draining = asyncio.create_task(door.gateway.admission.drain(2))
    await asyncio.sleep(0)
    assert not draining.done()

    door.go_on.set()

    assert await door.answered() == [202]
    assert b"Connection: close\r\n" in door.wire.answers
    assert door.wire.closed
    await draining


async def test_accepted_requests_are_counted_by_route_and_status(door: Door) -> None:
    for path in ("/events", "/events/", "/events/"):
        door.connection.data_received(door.post(line=f"POST {path} HTTP/1.1"))
        await door.answered()
        door.wire.answers = b""

    assert sample(door, "eye_gateway_requests_total", method="POST", route="/events", status="202") == 1
    assert sample(door, "eye_gateway_requests_total", method="POST", route="/events/", status="202") == 2
    assert sample(door, "eye_gateway_request_seconds_count", route="/events/") == 2
    assert sample(door, "eye_gateway_events_total", application="shop", status="ok") == 3


def sample(door: Door, name: str, **labels: str) -> float | None:
    return door.gateway.metrics.registry.get_sample_value(name, labels)


async def test_an_expectation_that_is_not_known_is_417(door: Door) -> None:
    door.connection.data_received(door.post(EVENT, "Expect: miracles"))

    assert await door.answered() == [417]
    assert b"Content-Type: application/problem+json" in door.wire.answers
    assert b"aiohttp" not in door.wire.answers


async def test_the_body_is_asked_for_where_the_head_is_good(door: Door) -> None:
    head, _, body = door.post(EVENT, "Expect: 100-continue").partition(b"\r\n\r\n")
    door.connection.data_received(head + b"\r\n\r\n")
    assert await door.answered() == [100]

    door.connection.data_received(body)

    assert await door.answered(2) == [100, 202]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (lambda head: head.replace(b"Bearer ", b"Bearer x"), 401),
        (lambda head: head.replace(b"Content-Length: ", b"Content-Length: 999999"), 413),
        (lambda head: head.replace(b"application/json", b"image/png"), 415),
    ],
)
async def test_no_body_is_asked_for_where_the_head_is_refused(
    door: Door, change: Callable[[bytes], bytes], status: int
) -> None:
    head = door.post(EVENT, "Expect: 100-continue").partition(b"\r\n\r\n")[0]

    door.connection.data_received(change(head) + b"\r\n\r\n")

    assert await door.answered() == [status]


async def test_tls_on_the_plain_port_is_named_in_the_log(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    door.connection.data_received(bytes.fromhex("16030100c8010000c40303"))

    assert door.wire.closed
    assert "speaks TLS" in caplog.text
    assert sample(door, "eye_gateway_connections_closed_total", reason="tls") == 1
