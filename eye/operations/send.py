"""Sending a file of events to a gateway."""

from __future__ import annotations

import asyncio
import io
import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import aiohttp

from schemas import json_reader
from schemas.ids import uuid7

BATCH_EVENTS = 500
BATCH_BYTES = 1024 * 1024

_ATTEMPTS_SECONDS = 60.0


class SendError(Exception):
    """The gateway can't be sent to; the message says why."""


async def send_file(path: Path, url: str, key: str, progress: Callable[[int], None]) -> Counter[str]:
    """Send an NDJSON file in batches, in order; returns how many events got which status.

    An event without an event_id is given one, so that sending it again after a lost answer adds nothing.
    Batches answered with 429 or 503, or not at all, are sent again for up to a minute. `progress` is told
    the bytes of the file that are done with. Raises SendError.
    """
    counts: Counter[str] = Counter()
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}, timeout=timeout) as session:
        for lines, size in _batches(path):
            counts.update(await _send(session, f"{url.rstrip('/')}/events/", lines))
            progress(size)
    return counts


async def _send(session: aiohttp.ClientSession, url: str, lines: list[bytes]) -> Counter[str]:
    """Send one batch until each of its events has a verdict."""
    counts: Counter[str] = Counter()
    deadline = time.monotonic() + _ATTEMPTS_SECONDS
    while lines:
        statuses, pause = await _attempt(session, url, lines)
        counts.update(status for status in statuses if status != "retry")
        lines = [line for line, status in zip(lines, statuses, strict=True) if status == "retry"]
        if lines and time.monotonic() + pause > deadline:
            raise SendError(f"{url} did not take {len(lines)} events within a minute")
        if lines:
            await asyncio.sleep(pause)
    return counts


async def _attempt(session: aiohttp.ClientSession, url: str, lines: list[bytes]) -> tuple[list[str], float]:
    """Return each event's status, and the seconds to wait before those to retry are sent again."""
    try:
        async with session.post(
            url, data=io.BytesIO(b"\n".join(lines)), headers={"Content-Type": "application/x-ndjson"}
        ) as response:
            answer = await response.json(content_type=None)
            pause = float(response.headers.get("Retry-After", "1"))
            if "results" in answer:
                return [result["status"] for result in answer["results"]], pause
            if response.status in (429, 503):
                return ["retry"] * len(lines), pause
            raise SendError(f"{url} answered {response.status}: {answer.get('detail') or answer.get('title')}")
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        if isinstance(error, aiohttp.InvalidURL):
            raise SendError(f"{url} is no address") from error
        return ["retry"] * len(lines), 1.0


def _batches(path: Path) -> Iterator[tuple[list[bytes], int]]:
    """Yield the file's events in batches, each with the bytes it took in the file."""
    lines: list[bytes] = []
    size = read = 0
    with path.open("rb") as file:
        for line in file:
            read += len(line)
            if event := line.strip():
                lines.append(_with_id(event))
                size += len(lines[-1])
            if len(lines) == BATCH_EVENTS or size >= BATCH_BYTES:
                yield lines, read
                lines, size, read = [], 0, 0
    if lines or read:
        yield lines, read


def _with_id(line: bytes) -> bytes:
    """Give an event an event_id, unless it has one or is no event at all."""
    try:
        event = json_reader.loads(line.decode())
    except ValueError:
        return line
    if not isinstance(event, dict) or "event_id" in event:
        return line
    event_id = json.dumps(uuid7(time.time_ns() // 1_000_000, os.urandom(10))).encode()
    return b'{"event_id": ' + event_id + (b", " if event else b"") + line[1:].lstrip()
