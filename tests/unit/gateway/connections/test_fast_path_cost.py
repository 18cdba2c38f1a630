"""The cost of the fast path, in changes of file: each one is a jump for a reader, and some work for the machine."""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from types import FrameType
from typing import Any, cast

import pytest
from aiohttp import web

from eye.operations.keys import add_key
from gateway.app import build_app
from gateway.context import GATEWAY
from schemas.settings import Settings
from tests.unit.gateway.connections.one_connection import Wire

ROOT = Path(__file__).parents[3]
PACKAGES = tuple(str(ROOT / name) for name in ("gateway", "schemas"))
MAX_CHANGES = 25

EVENT = b'{"session_id": "s", "category": "c", "name": "n", "timestamp": "2021-01-01", "data": {}}'


class Batch:
    """A batch that takes everything."""

    def __init__(self) -> None:
        self.records = 0

    def append(self, **_: Any) -> object:
        self.records += 1
        return self

    def record_count(self) -> int:
        return self.records


class Producer:
    """A producer whose broker acknowledges at once."""

    def create_batch(self) -> Batch:
        return Batch()

    async def send_batch(self, *_: Any, **__: Any) -> asyncio.Future[None]:
        acknowledged = asyncio.get_running_loop().create_future()
        acknowledged.set_result(None)
        return acknowledged


@pytest.fixture
async def post(tmp_path: Path) -> AsyncIterator[Callable[[], Any]]:
    """Lend a gateway with one connection, and a broker that takes everything; the call sends an event."""
    settings = Settings.model_validate({"data_dir": tmp_path, "kafka_bootstrap_servers": "127.0.0.1:1"})
    key = add_key(settings.applications_file, "shop", ["write"])
    app = build_app(settings)
    app.cleanup_ctx.clear()
    runner = web.AppRunner(app)
    await runner.setup()
    kafka = app[GATEWAY].publisher._connection
    kafka.producer, kafka.partitions, kafka.fault = Producer(), 6, None
    wire = Wire()
    connection = app[GATEWAY].clients.connection(cast(web.Server, runner.server))
    connection.connection_made(wire)
    await asyncio.sleep(0)
    request = (
        f"POST /events/ HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(EVENT)}\r\n\r\n"
    ).encode() + EVENT

    async def send() -> bytes:
        wire.answers = b""
        connection.data_received(request)
        async with asyncio.timeout(60):
            while not wire.answers:  # noqa: ASYNC110 - a transport tells nobody
                await asyncio.sleep(0)
        return wire.answers

    yield send
    connection.connection_lost(None)
    await runner.cleanup()


async def test_a_plain_post_changes_file_at_most_25_times(post: Callable[[], Any]) -> None:
    await post()  # what is looked up once is looked up
    calls: list[str] = []

    def watch(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(PACKAGES):
            calls.append(f"{Path(frame.f_code.co_filename).relative_to(ROOT)}:{frame.f_code.co_qualname}")

    sys.setprofile(watch)
    try:
        answer = await post()
    finally:
        sys.setprofile(None)

    assert answer.startswith(b"HTTP/1.1 202 ")
    files = [call.partition(":")[0] for call in calls]
    changes = sum(after != before for before, after in itertools.pairwise(files))
    assert changes <= MAX_CHANGES, "\n".join(calls)
