"""Slow, broken and hostile clients, by raw sockets: bounded, answered or closed, and nothing of theirs in the log."""

from __future__ import annotations

import asyncio
import socket
import time

import pytest

from tests.integration.gateway.hostile.raw_http import (
    EVENT,
    HEAD_SECONDS,
    IDLE_SECONDS,
    TRANSFER_SECONDS,
    a_post,
    connect,
    head,
    is_served,
    port_of,
    problem,
    said,
    statuses,
)
from tests.support.pipeline import EyeProcess
from tests.support.stopwatch import Stopwatch

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
