"""Malformed and oversized requests: each is answered with a problem, and its connection is closed."""

from __future__ import annotations

import asyncio
import base64
import json

import pytest

from schemas.settings import Settings
from tests.conftest import KEY
from tests.integration.gateway.hostile.raw_http import EVENT, a_post, connect, exchange, head, problem, said, statuses
from tests.support.pipeline import EyeProcess, an_event

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
