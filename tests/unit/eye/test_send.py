"""Sending a file: in order, in batches, and again until each event has its verdict."""

from __future__ import annotations

import json
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from eye.local.remembered_settings import free_port
from eye.operations.send import BATCH_EVENTS, RefusedEvent, SendError, send_file

NOW = {"Retry-After": "0"}


class FakeGateway:
    """A gateway that answers as planned, then with `ok` for each event."""

    def __init__(self) -> None:
        self.planned: list[web.Response] = []
        self.batches: list[list[bytes]] = []
        self.headers: list[Any] = []

    async def take(self, request: web.Request) -> web.Response:
        lines = (await request.read()).split(b"\n")
        self.batches.append(lines)
        self.headers.append(request.headers)
        return self.planned.pop(0) if self.planned else verdicts("ok" for _ in lines)

    @property
    def lines(self) -> list[bytes]:
        return [line for batch in self.batches for line in batch]


def verdicts(statuses: Any, status: int = 202, **headers: str) -> web.Response:
    results = [{"index": index, "status": word} for index, word in enumerate(statuses)]
    return web.json_response({"results": results}, status=status, headers=headers | NOW)


def problem(status: int, detail: str) -> web.Response:
    return web.json_response({"title": "No", "detail": detail}, status=status, headers=NOW)


@pytest.fixture
def gateway() -> FakeGateway:
    return FakeGateway()


@pytest.fixture
async def url(gateway: FakeGateway) -> AsyncIterator[str]:
    app = web.Application(client_max_size=10_000_000)
    app.router.add_post("/events/", gateway.take)
    async with TestServer(app) as server:
        yield str(server.make_url("/"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.ndjson"


async def send(path: Path, url: str) -> tuple[Counter[str], int]:
    """Send a file; returns how many events got which status, and the bytes that were reported as done."""
    done: list[int] = []
    counts = await send_file(path, url, "the-key", done.append)
    return counts, sum(done)


def an_event(number: int, **fields: Any) -> str:
    return json.dumps({"event_id": f"e-{number}", "session_id": "s"} | fields)


async def test_a_file_is_sent_in_batches_and_in_order(gateway: FakeGateway, url: str, path: Path) -> None:
    number = 2 * BATCH_EVENTS + 1
    path.write_text("\n".join(map(an_event, range(number))))

    counts, done = await send(path, url)

    assert [len(batch) for batch in gateway.batches] == [BATCH_EVENTS, BATCH_EVENTS, 1]
    assert [json.loads(line)["event_id"] for line in gateway.lines] == [f"e-{index}" for index in range(number)]
    assert counts == {"ok": number}
    assert done == path.stat().st_size


async def test_it_is_sent_as_ndjson_with_the_key(gateway: FakeGateway, url: str, path: Path) -> None:
    path.write_text(an_event(1))

    await send(path, url)

    assert gateway.headers[0]["Authorization"] == "Bearer the-key"
    assert gateway.headers[0]["Content-Type"] == "application/x-ndjson"


async def test_large_events_make_small_batches(gateway: FakeGateway, url: str, path: Path) -> None:
    path.write_text("\n".join(an_event(number, data="x" * 60_000) for number in range(50)))

    await send(path, url)

    assert len(gateway.batches) == 3
    assert len(gateway.lines) == 50


@pytest.mark.parametrize("text", ["", "\n", " \r\n\n"])
async def test_a_file_without_events_is_sent_to_its_end(gateway: FakeGateway, url: str, path: Path, text: str) -> None:
    path.write_text(text)

    assert await send(path, url) == (Counter(), len(text))
    assert gateway.batches == []


async def test_empty_lines_are_no_events(gateway: FakeGateway, url: str, path: Path) -> None:
    path.write_text(f"\n{an_event(1)}\r\n\n  {an_event(2)}  \n")

    counts, done = await send(path, url)

    assert gateway.lines == [an_event(1).encode(), an_event(2).encode()]
    assert (counts, done) == ({"ok": 2}, path.stat().st_size)


@pytest.mark.parametrize(
    "line",
    [
        '{"session_id": "s"}', "{}", "{ }", '{"session_id":"s","data":{"a":[1]}}',
        '{"session_id": "s", "data": {"event_id": "of something else"}}',
    ],
)  # fmt: skip
async def test_an_event_without_an_id_is_given_one(gateway: FakeGateway, url: str, path: Path, line: str) -> None:
    path.write_text(line)

    await send(path, url)

    sent = json.loads(gateway.lines[0])
    assert uuid.UUID(sent.pop("event_id")).version == 7
    assert sent == json.loads(line)


@pytest.mark.parametrize("line", ['{"event_id": "mine"}', "[1]", "nope", '{"a": 1', "5", '"x"'])
async def test_anything_else_is_sent_as_it_is(gateway: FakeGateway, url: str, path: Path, line: str) -> None:
    path.write_text(line)

    await send(path, url)

    assert gateway.lines == [line.encode()]


@pytest.mark.parametrize("status", [429, 503])
async def test_a_batch_that_is_not_taken_now_is_sent_again_as_the_same(
    gateway: FakeGateway, url: str, path: Path, status: int
) -> None:
    path.write_text('{"session_id": "s"}\n{"session_id": "t"}')
    gateway.planned = [problem(status, "Later."), problem(status, "Later.")]

    counts, _ = await send(path, url)

    assert len(gateway.batches) == 3
    assert gateway.batches[0] == gateway.batches[1] == gateway.batches[2]
    assert counts == {"ok": 2}


async def test_only_the_events_to_retry_are_sent_again(gateway: FakeGateway, url: str, path: Path) -> None:
    path.write_text("\n".join(map(an_event, range(4))))
    gateway.planned = [verdicts(["ok", "retry", "invalid", "retry"], 503), verdicts(["retry", "ok"], 503)]

    counts, _ = await send(path, url)

    ids = [[json.loads(line)["event_id"] for line in batch] for batch in gateway.batches]
    assert ids == [["e-0", "e-1", "e-2", "e-3"], ["e-1", "e-3"], ["e-1"]]
    assert counts == {"ok": 3, "invalid": 1}


async def test_refused_events_are_counted_and_the_others_go_on(gateway: FakeGateway, url: str, path: Path) -> None:
    path.write_text("\n".join(map(an_event, range(BATCH_EVENTS + 1))))
    gateway.planned = [verdicts(["too_large"] + ["invalid"] * (BATCH_EVENTS - 1), 422)]

    counts, _ = await send(path, url)

    assert counts == {"too_large": 1, "invalid": BATCH_EVENTS - 1, "ok": 1}


@pytest.mark.parametrize("status", [400, 401, 403, 413])
async def test_a_request_that_is_refused_ends_it_with_the_reason(
    gateway: FakeGateway, url: str, path: Path, status: int
) -> None:
    path.write_text(an_event(1))
    gateway.planned = [problem(status, "The reason.")]

    with pytest.raises(SendError, match=rf"events/ answered {status}: The reason\."):
        await send(path, url)


async def test_what_is_never_taken_is_given_up_after_a_while(
    gateway: FakeGateway, url: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eye.operations.send._ATTEMPTS_SECONDS", 0.0)
    path.write_text(an_event(1))
    gateway.planned = [problem(503, "Later.")]

    with pytest.raises(SendError, match=r"did not take 1 events within a minute"):
        await send(path, url)


async def test_an_address_that_is_none_is_named(path: Path) -> None:
    path.write_text(an_event(1))

    with pytest.raises(SendError, match=r"nowhere/events/ is no address"):
        await send(path, "nowhere")


async def test_refused_events_are_named_by_their_line(gateway: FakeGateway, url: str, path: Path) -> None:
    path.write_text("\n".join([an_event(1), "", an_event(2), an_event(3)]))
    violation = {"code": "bad_value", "path": "$.data", "message": "is no host"}
    invalid = {"index": 1, "status": "invalid", "errors": [violation]}
    results = [{"index": 0, "status": "ok"}, invalid, {"index": 2, "status": "too_large"}]
    gateway.planned = [web.json_response({"results": results}, status=202)]
    refused: list[RefusedEvent] = []

    await send_file(path, url, "the-key", lambda _: None, refused.append)

    assert refused == [
        RefusedEvent(3, "invalid: bad_value at $.data: is no host"), RefusedEvent(4, "too_large"),
    ]  # fmt: skip


async def test_an_address_where_nobody_listens_is_refused_within_2_s(path: Path) -> None:
    path.write_text(an_event(1))
    began = time.monotonic()

    with pytest.raises(SendError, match="connection refused"):
        await send(path, f"http://127.0.0.1:{free_port()}")

    assert time.monotonic() - began < 2
