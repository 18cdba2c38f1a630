"""Clients that close their sending side, and what follows a request: each request gets its own answer first."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from schemas.settings import Settings
from tests.conftest import KEY, write_key
from tests.support.pipeline import EyeProcess, an_event, poll

EVENT = json.dumps(an_event()).encode()
FAST: tuple[str, ...] = ()
SLOW = ("Prefer: nothing",)


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EyeProcess]:
    """Lend a gateway that spools, since no Kafka is there."""
    settings = Settings(
        kafka_bootstrap_servers="127.0.0.1:1",
        postgres_dsn=SecretStr("host=127.0.0.1 port=1 connect_timeout=1"),
        data_dir=tmp_path_factory.mktemp("gateway") / "eye",
        transfer_seconds=60.0,
    )
    write_key(settings)
    process = EyeProcess("gateway", 0, settings, settings.data_dir / "logs")
    process.start()
    try:
        poll(process.is_ready, 60, "the gateway is ready")
        yield process
        assert process.running
    finally:
        process.stop(15)


def a_post(*headers: str, body: bytes = EVENT, length: int | None = None) -> bytes:
    lines = ["POST /events HTTP/1.1", "Host: x", f"X-API-Key: {KEY}", "Content-Type: application/json", *headers]
    return "\r\n".join([*lines, f"Content-Length: {length or len(body)}", "", ""]).encode() + body


A_GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


async def exchange(process: EyeProcess, *segments: bytes, half_close: bool) -> list[int]:
    """Send segments one after the other; return the statuses of all that comes until the connection is closed."""
    with socket.socket() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(client, ("127.0.0.1", process.port))
        for segment in segments:
            await loop.sock_sendall(client, segment)
            await asyncio.sleep(0.05)  # so that it is a segment of its own
        if half_close:
            client.shutdown(socket.SHUT_WR)
        answers = b""
        async with asyncio.timeout(20):
            while part := await loop.sock_recv(client, 65536):
                answers += part
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", answers)]


@pytest.mark.parametrize("headers", [FAST, SLOW], ids=["fast path", "aiohttp"])
async def test_a_client_that_half_closes_gets_its_answer(process: EyeProcess, headers: tuple[str, ...]) -> None:
    assert await exchange(process, a_post(*headers), half_close=True) == [202]


@pytest.mark.parametrize("headers", [FAST, SLOW], ids=["fast path", "aiohttp"])
async def test_each_pipelined_request_of_it_is_answered(process: EyeProcess, headers: tuple[str, ...]) -> None:
    requests = a_post(*headers) + A_GET + a_post(*headers) + a_post(body=b"[]")

    assert await exchange(process, requests, half_close=True) == [202, 200, 202, 422]


async def test_a_body_in_parts_before_the_half_close_counts(process: EyeProcess) -> None:
    request = a_post()

    assert await exchange(process, request[:-40], request[-40:], half_close=True) == [202]


@pytest.mark.parametrize("sent", [a_post()[:-1], a_post()[:30], b"", a_post(length=100_000)])
async def test_a_request_that_is_never_complete_ends(process: EyeProcess, sent: bytes) -> None:
    assert await exchange(process, sent, half_close=True) == []


@pytest.mark.parametrize(
    "garbage", [b"garbage\r\n\r\n", b"\x00\x01\x02", b"GET\r\n\r\n", b"POST /events HTTP/9.9\r\n\r\n"]
)
@pytest.mark.parametrize("headers", [FAST, SLOW], ids=["fast path", "aiohttp"])
async def test_what_follows_a_request_takes_nothing_from_it(
    process: EyeProcess, headers: tuple[str, ...], garbage: bytes
) -> None:
    assert await exchange(process, a_post(*headers) + garbage, half_close=False) == [202, 400]


@pytest.mark.parametrize(
    ("segments", "statuses"),
    [
        ((A_GET + b"garbage\r\n\r\n",), [200, 400]),
        ((A_GET + a_post() + A_GET + b"garbage\r\n\r\n",), [200, 202, 200, 400]),
        ((a_post()[:-40], a_post()[-40:] + b"garbage\r\n\r\n"), [202, 400]),
        ((a_post()[:-40], a_post()[-40:] + A_GET + b"garbage\r\n\r\n"), [202, 200, 400]),
        ((a_post()[:60], a_post()[60:] + b"garbage\r\n\r\n"), [202, 400]),
        ((a_post(), A_GET, b"garbage\r\n\r\n"), [202, 200, 400]),
        ((b"garbage\r\n\r\n",), [400]),
    ],
)
async def test_garbage_is_answered_after_what_came_before(
    process: EyeProcess, segments: tuple[bytes, ...], statuses: list[int]
) -> None:
    assert await exchange(process, *segments, half_close=False) == statuses


async def test_many_pipelined_requests_are_all_answered(process: EyeProcess) -> None:
    assert await exchange(process, (a_post() + A_GET) * 200, half_close=True) == [202, 200] * 200
