"""A gateway as a process, and requests to it byte by byte."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from schemas.settings import Settings
from tests.conftest import KEY
from tests.support.pipeline import EyeProcess, an_event, poll

HEAD_SECONDS, IDLE_SECONDS, TRANSFER_SECONDS = 1.0, 2.0, 1.5
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
