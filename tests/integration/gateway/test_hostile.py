"""Slow, broken and hostile clients, by raw sockets: bounded, answered or closed, and nothing of theirs in the log."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import resource
import socket
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from schemas.settings import Settings
from tests.conftest import KEY
from tests.support.pipeline import EyeProcess, an_event, poll
from tests.support.stopwatch import Stopwatch

HEAD_SECONDS, IDLE_SECONDS, TRANSFER_SECONDS = 1.0, 2.0, 1.5
CONNECTIONS = 2500
EVENT = json.dumps(an_event()).encode()


@contextmanager
def a_gateway_process(settings: Settings, number: int, **changes: Any) -> Iterator[EyeProcess]:
    process = EyeProcess("gateway", number, settings.model_copy(update=changes), settings.data_dir / "logs")
    process.start()
    try:
        poll(process.is_ready, 60, "the gateway is ready")
        yield process
        assert process.running, process.log.read_text()[-3000:]
    finally:
        process.stop(15)


@pytest.fixture(scope="module")
def impatient(shared_settings: Settings) -> Iterator[EyeProcess]:
    """Lend a gateway with short time limits, that logs all it can."""
    limits = {"head_seconds": HEAD_SECONDS, "idle_seconds": IDLE_SECONDS, "transfer_seconds": TRANSFER_SECONDS}
    with a_gateway_process(shared_settings, 0, **limits, log_level="DEBUG") as process:
        yield process


def port_of(process: EyeProcess) -> int:
    return int(process.url.rpartition(":")[2])


async def connect(process: EyeProcess) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", port_of(process))


async def said(reader: asyncio.StreamReader, seconds: float = 60.0) -> bytes:
    """Return all that comes until the connection is closed; fails when it stays open."""
    async with asyncio.timeout(seconds):
        try:
            return await reader.read()
        except (ConnectionResetError, BrokenPipeError):  # the latter where we were still sending
            return b""


async def exchange(process: EyeProcess, sent: bytes, seconds: float = 60.0) -> bytes:
    """Send bytes on a connection of their own; return all that comes until it is closed."""
    reader, writer = await connect(process)
    writer.write(sent)
    try:
        return await said(reader, seconds)
    finally:
        writer.close()


def a_post(body: bytes = EVENT, *headers: str, path: str = "/events") -> bytes:
    """Return a POST with the test's key as bytes, Content-Length and all."""
    return head(f"POST {path} HTTP/1.1", f"Content-Length: {len(body)}", *headers) + body


def head(line: str, *headers: str) -> bytes:
    lines = [line, "Host: x", f"X-API-Key: {KEY}", "Content-Type: application/json", *headers]
    return "\r\n".join([*lines, "", ""]).encode()


def statuses(answers: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", answers)]


def problem(answer: bytes) -> tuple[int, str]:
    """Return the status and the code of the one answer; it is a problem of ours."""
    top, _, body = answer.partition(b"\r\n\r\n")
    assert b"content-type: application/problem+json" in top.lower()
    assert len(body) < 1000
    told = json.loads(body)
    assert [told["status"]] == statuses(answer)
    return told["status"], told["code"]


async def is_served(process: EyeProcess) -> None:
    """Check that the gateway still takes an event."""
    assert statuses(await exchange(process, a_post(EVENT, "Connection: close"))) == [202]


# slow


async def test_a_head_that_comes_too_slowly_ends_its_connection(impatient: EyeProcess) -> None:
    reader, writer = await connect(impatient)
    started, watch = time.monotonic(), Stopwatch()
    writer.write(b"POST /events HTTP/1.1\r\n")
    slowly = asyncio.create_task(trickle(writer, b"X-Slow: 1\r\n" * 1000))

    answer = await said(reader)

    assert problem(answer) == (408, "request_timeout")
    assert time.monotonic() - started > HEAD_SECONDS * 0.9
    assert watch.seconds < HEAD_SECONDS + 1
    slowly.cancel()
    writer.close()


async def trickle(writer: asyncio.StreamWriter, data: bytes) -> None:
    for index in range(len(data)):
        writer.write(data[index : index + 1])
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("framing", ["Content-Length: 1000", "Transfer-Encoding: chunked"])
async def test_a_body_that_comes_too_slowly_ends_its_connection(impatient: EyeProcess, framing: str) -> None:
    reader, writer = await connect(impatient)
    started, watch = time.monotonic(), Stopwatch()
    writer.write(head("POST /events HTTP/1.1", framing))
    slowly = asyncio.create_task(trickle(writer, b"1\r\n{\r\n" * 1000))

    answer = await reader.readuntil(b"}")
    slowly.cancel()

    assert problem(answer) == (408, "request_timeout")
    assert time.monotonic() - started > TRANSFER_SECONDS * 0.9
    assert watch.seconds < TRANSFER_SECONDS + 1
    assert await said(reader) == b""
    writer.close()


async def test_a_connection_that_says_nothing_is_closed(impatient: EyeProcess) -> None:
    fresh, writer = await connect(impatient)
    used, used_writer = await connect(impatient)
    used_writer.write(head("GET /healthz HTTP/1.1"))
    watch = Stopwatch()

    assert await said(fresh) == b""
    assert statuses(await said(used)) == [200]

    assert watch.seconds < IDLE_SECONDS + 2
    writer.close()
    used_writer.close()


async def test_the_rest_of_a_refused_body_does_not_count_as_a_slow_head(impatient: EyeProcess) -> None:
    reader, writer = await connect(impatient)
    writer.write(b"POST /events HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n")
    assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 401")
    writer.write(b"12345")

    await asyncio.sleep(HEAD_SECONDS + 0.3)
    writer.write(a_post(EVENT, "Connection: close"))

    assert statuses(await said(reader)) == [202]
    writer.close()


async def test_a_client_that_reads_no_answer_is_cut_off(impatient: EyeProcess) -> None:
    loop = asyncio.get_running_loop()
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.setblocking(False)
        await loop.sock_connect(deaf, ("127.0.0.1", port_of(impatient)))
        requests = head("GET /openapi.json HTTP/1.1") * 2000

        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            async with asyncio.timeout(60):
                while True:
                    await loop.sock_sendall(deaf, requests)

    await is_served(impatient)


async def test_a_client_that_goes_in_the_middle_costs_nothing(impatient: EyeProcess) -> None:
    for sent in (b"", b"POST /ev", head("POST /events HTTP/1.1", "Content-Length: 100") + b"{", a_post()):
        _, writer = await connect(impatient)
        writer.write(sent)
        await writer.drain()
        writer.transport.abort()

    await is_served(impatient)
    assert "Traceback" not in impatient.log.read_text()


# what is no HTTP, or wrong in it

MALFORMED = {
    "nonsense": b"\x00\x01\x02 nonsense\r\n\r\n",
    "TLS": bytes.fromhex("1603010200010001fc0303") + b"\0" * 64 + b"\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "unknown method": head("FROBNICATE /events HTTP/1.1"),
    "both lengths": head("POST /events HTTP/1.1", "Content-Length: 5", "Transfer-Encoding: chunked") + b"0\r\n\r\n",
    "two lengths": head("POST /events HTTP/1.1", "Content-Length: 5", "Content-Length: 6") + b"123456",
    "negative length": head("POST /events HTTP/1.1", "Content-Length: -5"),
    "length in words": head("POST /events HTTP/1.1", "Content-Length: five"),
    "length with a sign": head("POST /events HTTP/1.1", "Content-Length: +5"),
    "bare line feeds in a name": b"GET /healthz HTTP/1.1\r\nHost: x\r\nX\n-A: b\r\n\r\n",
    "space before the colon": b"POST /events HTTP/1.1\r\nHost : x\r\n\r\n",
    "NUL in a header": b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: \0\r\n\r\n",
    "unknown coding": head("POST /events HTTP/1.1", "Transfer-Encoding: gzip"),
}


@pytest.mark.parametrize("sent", MALFORMED.values(), ids=list(MALFORMED))
async def test_what_is_no_http_is_answered_with_a_problem_and_closed(impatient: EyeProcess, sent: bytes) -> None:
    answer = await exchange(impatient, sent)

    assert problem(answer) == (400, "bad_request")
    assert b"ython" not in answer
    assert b"aiohttp" not in answer


@pytest.mark.parametrize(
    "sent",
    [
        head(f"GET /events/{'x' * 20_000} HTTP/1.1"),
        head("GET /healthz HTTP/1.1", f"X-Long: {'x' * 20_000}"),
        head("GET /healthz HTTP/1.1", f"X-{'x' * 20_000}: y"),
        head("GET /healthz HTTP/1.1", *[f"X-{number}: y" for number in range(1000)]),
    ],
    ids=["path", "value", "name", "number"],
)
async def test_a_head_that_is_too_large_is_told_so(impatient: EyeProcess, sent: bytes) -> None:
    assert problem(await exchange(impatient, sent))[0] in (400, 431)


@pytest.mark.parametrize("chunk", [b"zz\r\n{}\r\n", b"-1\r\n", b"5\r\n{}\r\n0\r\n\r\n", b"f" * 17 + b"\r\n{}"])
async def test_chunks_that_are_none_are_a_bad_request(impatient: EyeProcess, chunk: bytes) -> None:
    answer = await exchange(impatient, head("POST /events HTTP/1.1", "Transfer-Encoding: chunked") + chunk)

    assert problem(answer) in [(400, "bad_request"), (408, "request_timeout")]


async def test_chunks_without_end_are_too_large(impatient: EyeProcess) -> None:
    reader, writer = await connect(impatient)
    writer.write(head("POST /events HTTP/1.1", "Transfer-Encoding: chunked"))
    flood = asyncio.create_task(send_for_ever(writer, b"10000\r\n" + b" " * 0x10000 + b"\r\n"))

    answer = await reader.readuntil(b"}")

    assert problem(answer) == (413, "too_large")
    assert await said(reader) == b""
    flood.cancel()
    writer.close()


async def test_a_length_beyond_the_limit_is_refused_before_the_body_comes(impatient: EyeProcess) -> None:
    reader, writer = await connect(impatient)
    writer.write(head("POST /events HTTP/1.1", f"Content-Length: {10**15}"))

    assert problem(await reader.readuntil(b"}")) == (413, "too_large")
    assert await said(reader) == b""
    writer.close()


async def test_a_flood_behind_a_refused_key_is_read_for_a_moment_only(impatient: EyeProcess) -> None:
    reader, writer = await connect(impatient)
    writer.write(b"POST /events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    flood = asyncio.create_task(send_for_ever(writer, b"10000\r\n" + b" " * 0x10000 + b"\r\n"))

    assert statuses(await reader.readuntil(b"}")) == [401]

    await said(reader)
    flood.cancel()
    writer.close()


async def send_for_ever(writer: asyncio.StreamWriter, data: bytes) -> None:
    while True:
        writer.write(data)
        await writer.drain()


async def test_what_follows_a_body_of_the_stated_length_is_refused(impatient: EyeProcess) -> None:
    reader, writer = await connect(impatient)
    writer.write(head("POST /events HTTP/1.1", f"Content-Length: {len(EVENT)}") + EVENT)
    assert statuses(await reader.readuntil(b"]}")) == [202]
    writer.write(b"} and more")

    assert problem(await said(reader)) == (400, "bad_request")
    writer.close()


async def test_pipelined_requests_are_answered_in_order(impatient: EyeProcess) -> None:
    numbers = range(100)
    posts = [a_post(json.dumps(an_event(event_id=f"p-{number}")).encode()) for number in numbers]

    answers = await exchange(impatient, b"".join(posts) + head("GET /healthz HTTP/1.1", "Connection: close"))

    assert statuses(answers) == [202] * len(posts) + [200]
    places = [answers.index(f'"p-{number}"'.encode()) for number in numbers]
    assert places == sorted(places)


# what a request could smuggle in


@pytest.mark.parametrize(
    "path",
    [
        "/../../../../etc/passwd",
        "/..%2f..%2f..%2fetc/passwd",
        "/docs/../../etc/passwd",
        "/schemas/..%2f..%2f/etc%2fpasswd",
        "/events/..%2f..%2fetc%2fpasswd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "//etc/passwd",
        "/events/%00",
        "/schemas/%ff/%fe",
        "/sessions/%0d%0aSet-Cookie:%20a=b",
        "/events?cursor=%0d%0aSet-Cookie:%20a=b",
        "http://elsewhere.example/etc/passwd",
        "*",
    ],
)
async def test_no_path_leads_out_or_into_a_header(impatient: EyeProcess, path: str) -> None:
    answer = await exchange(impatient, head(f"GET {path} HTTP/1.1", "Connection: close"))

    assert problem(answer)[0] in (400, 404)
    assert b"root:" not in answer
    assert b"set-cookie" not in answer.partition(b"\r\n\r\n")[0].lower()


async def test_no_header_is_answered_with_what_was_sent(impatient: EyeProcess) -> None:
    injected = "x\tSet-Cookie: a=b"
    headers = [f"traceparent: {injected}", f"Prefer: handling=strict, {injected}", f"Origin: {injected}"]

    answer = await exchange(impatient, a_post(EVENT, *headers, "Connection: close"))

    assert statuses(answer) == [202]
    assert b"set-cookie" not in answer.lower()


SECRET = "eye_a-secret-that-is-nobodys-business"


async def test_no_key_is_ever_logged(impatient: EyeProcess, shared_settings: Settings) -> None:
    basic = base64.b64encode(f"{SECRET}:".encode()).decode()
    requests = [
        head("GET /events HTTP/1.1", f"Authorization: Bearer {SECRET}"),
        head("GET /events HTTP/1.1", f"Authorization: Basic {basic}"),
        head(f"GET /events?key={SECRET} HTTP/1.1", "Connection: close"),
        head(f"GET http://{SECRET}@x/events HTTP/1.1"),
        head(f"GET /{SECRET} HTTP/1.1"),
        head("POST /events HTTP/1.1", f"Authorization: Bearer {SECRET}", f"Content-Length: {SECRET}"),
        head("GET /events HTTP/1.1", f"Authorization: Basic {basic}\0"),
        head("GET /events HTTP/1.1", f"Authorization: Bearer {SECRET * 1000}"),
        f"GET /events HTTP/1.1\r\nAuthorization : Bearer {SECRET}\r\n\r\n".encode(),
        f"{SECRET}\r\n\r\n".encode(),
        a_post(SECRET.encode()),
    ]

    answers = [await exchange(impatient, request) for request in requests]

    logged = impatient.log.read_text()
    assert all(answers)
    assert [word for word in (SECRET, basic, KEY) if word in logged] == []
    assert "closed a connection of 127.0.0.1" in logged


# too many, too much


async def test_idle_connections_lock_nobody_out_and_take_little_memory(shared_settings: Settings) -> None:
    with a_gateway_process(shared_settings, 1, max_connections=CONNECTIONS) as process:
        before = memory(process)
        idle = [await connect(process) for _ in range(CONNECTIONS)]

        await is_served(process)
        taken = memory(process) - before

        assert taken / CONNECTIONS < 40_000
        assert await said(idle[0][0]) == b""  # the one that has waited longest made room
        more = [await connect(process) for _ in range(CONNECTIONS // 4)]
        await is_served(process)
        assert open_files(process) < CONNECTIONS + 100
        for _, writer in idle + more:
            writer.close()


def memory(process: EyeProcess) -> int:
    """Return the bytes of memory that a process has."""
    return int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * resource.getpagesize()


def open_files(process: EyeProcess) -> int:
    return len(list(Path(f"/proc/{process.pid}/fd").iterdir()))


async def test_a_low_limit_of_open_files_means_fewer_connections(shared_settings: Settings, tmp_path: Path) -> None:
    with a_gateway_process(shared_settings, 2, max_connections=10_000_000) as process:
        text = process.log.read_text()

    assert "raise the limit (ulimit -Hn), or lower EYE_MAX_CONNECTIONS" in text


async def test_too_much_at_once_is_told_to_retry_and_memory_stays(shared_settings: Settings) -> None:
    batch = json.dumps([an_event(data={"host": "h", "path": "/" + "x" * 4000}) for _ in range(1000)]).encode()
    packed = zlib.compress(batch)
    limit = 8 * 1024 * 1024

    with a_gateway_process(shared_settings, 3, max_bytes_under_way=limit, max_requests_under_way=50) as process:
        before = memory(process)
        slow = [await connect(process) for _ in range(20)]
        for _, writer in slow:  # what is announced takes no room, what has come does
            writer.write(head("POST /events HTTP/1.1", f"Content-Length: {5 * 1024 * 1024}"))

        requests = [
            a_post(batch, "Connection: close"),
            a_post(packed, "Content-Encoding: deflate", "Connection: close"),
        ]
        watch = Stopwatch()
        answers = await asyncio.gather(*(exchange(process, request) for request in requests * 40))
        seconds = watch.seconds
        grown = memory(process) - before
        await is_served(process)
        for _, writer in slow:
            writer.close()

    given = [statuses(answer) for answer in answers]
    assert all(status in ([202], [503], []) for status in given)
    assert given.count([202]) >= 1
    refused = next(answer for answer in answers if b'"overloaded"' in answer)
    assert problem(refused) == (503, "overloaded")
    assert b"Retry-After: 1" in refused
    assert grown < 20 * limit
    assert seconds < 20


async def test_an_application_beyond_its_rate_is_told_when_to_come_again(shared_settings: Settings) -> None:
    file = shared_settings.applications_file
    without = file.read_text()
    with a_gateway_process(shared_settings, 4) as process:
        file.write_text(without.replace('id = "shop"', 'id = "shop"\nrate = 2\nburst = 4'))
        await asyncio.sleep(1.1)  # the file is looked at once a second

        batch = json.dumps([an_event()] * 4).encode()
        first = await exchange(process, a_post(batch, "Connection: close"))
        second = await exchange(process, a_post(EVENT, "Connection: close"))
        judged = await exchange(process, a_post(EVENT, "Connection: close", path="/events/validate"))
        counted = await exchange(process, head("GET /metrics HTTP/1.1", "Connection: close"))
        file.write_text(without)
        await asyncio.sleep(1.1)
        free = await exchange(process, a_post(batch, "Connection: close"))

    assert statuses(first) == [202]
    assert problem(second) == problem(judged) == (429, "rate_limited")
    assert b"Retry-After: 1" in second
    assert b'eye_gateway_rate_limited_total{application="shop"} 2.0' in counted
    assert statuses(free) == [202]


async def test_a_body_that_takes_long_to_read_holds_up_nobody_else(shared_settings: Settings) -> None:
    deep = b'{"session_id": "s", "a": ' + b"[" * 400_000 + b"]" * 400_000 + b"}"

    with a_gateway_process(shared_settings, 5) as process:
        slow = asyncio.create_task(exchange(process, a_post(deep, "Connection: close"), 60))
        served = 0
        while not slow.done():
            await is_served(process)
            served += 1

    assert statuses(slow.result()) == [413]
    assert served > 3
