"""Send a file of events to a gateway."""

from __future__ import annotations

import asyncio
import io
import json
import os
import ssl
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp

from schemas import json_reader
from schemas.ids import uuid7

BATCH_EVENTS = 500
BATCH_BYTES = 1024 * 1024

_ATTEMPTS_SECONDS = 60.0
_CONNECT_SECONDS = 1.0


class SendError(Exception):
    """The gateway can't be sent to; the message says why."""


@dataclass(frozen=True, slots=True)
class RefusedEvent:
    """An event that was refused: the number of its line, from 1, and why."""

    line: int
    reason: str


class _Line(NamedTuple):
    number: int
    event: bytes


async def send_file(
    path: Path,
    url: str,
    key: str,
    progress: Callable[[int], None],
    on_refused: Callable[[RefusedEvent], None] = lambda _: None,
    context: ssl.SSLContext | None = None,
) -> Counter[str]:
    """Send an NDJSON file in batches, in order; returns how many events got which status.

    An event without an event_id is given one, so that sending it again after a lost answer adds nothing.
    Batches answered with 429 or 503, or not at all, are sent again for up to a minute; where nobody has listened at
    the address from the start, for a second. `progress` is told the bytes of the file that are done with, `on_refused`
    each event that was refused. `context` says whom to trust at an address of https. Raises SendError.
    """
    timeout, connector = aiohttp.ClientTimeout(total=30), aiohttp.TCPConnector(ssl=context or True)
    headers = {"Authorization": f"Bearer {key}"}
    async with aiohttp.ClientSession(headers=headers, timeout=timeout, connector=connector) as session:
        sender = _Sender(session, f"{url.rstrip('/')}/events/", on_refused)
        for lines, size in _batches(path):
            await sender.send(lines)
            progress(size)
    return sender.counts


class _Sender:
    """Sends batches to one gateway, each until every event has a verdict."""

    def __init__(self, session: aiohttp.ClientSession, url: str, on_refused: Callable[[RefusedEvent], None]) -> None:
        self._session, self._url, self._on_refused = session, url, on_refused
        self._was_answered = False
        self.counts: Counter[str] = Counter()

    async def send(self, lines: list[_Line]) -> None:
        """Send one batch. Raises SendError when the gateway refuses it, or does not take it within a minute."""
        began = time.monotonic()
        while lines:
            results, pause = await self._attempt(lines, time.monotonic() - began)
            retried: list[_Line] = []
            for line, result in zip(lines, results, strict=True):
                self._note(line, result, retried)
            lines = retried
            if lines and time.monotonic() - began + pause > _ATTEMPTS_SECONDS:
                raise SendError(f"{self._url} did not take {len(lines)} events within a minute")
            if lines:
                await asyncio.sleep(pause)

    def _note(self, line: _Line, result: Any, retried: list[_Line]) -> None:
        status = result["status"]
        if status == "retry":
            retried.append(line)
            return
        self.counts[status] += 1
        if status != "ok":
            self._on_refused(RefusedEvent(line.number, _reason(result)))

    async def _attempt(self, lines: list[_Line], seconds: float) -> tuple[list[Any], float]:
        """Return each event's result, and the seconds to wait before those to retry are sent again."""
        retry = [{"status": "retry"}] * len(lines)
        body = io.BytesIO(b"\n".join(line.event for line in lines))
        try:
            async with self._session.post(
                self._url, data=body, headers={"Content-Type": "application/x-ndjson"}
            ) as response:
                self._was_answered = True
                answer = await response.json(content_type=None)
                pause = float(response.headers.get("Retry-After", "1"))
                if "results" in answer:
                    return answer["results"], pause
                if response.status in (429, 503):
                    return retry, pause
                raise SendError(
                    f"{self._url} answered {response.status}: {answer.get('detail') or answer.get('title')}"
                )
        except aiohttp.InvalidURL as error:
            raise SendError(f"{self._url} is no address") from error
        except (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError) as error:
            raise SendError(f"{self._url}: no TLS that can be trusted (EYE_GATEWAY_CAFILE): {error}") from error
        except aiohttp.ClientConnectorError as error:
            if not self._was_answered and seconds > _CONNECT_SECONDS:
                raise SendError(f"{self._url}: connection refused, nobody listens there: {error}") from error
            return retry, 1.0 if self._was_answered else 0.2
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return retry, 1.0


def _reason(result: Any) -> str:
    """Return status, and code, path and message of each violation."""
    errors = [f"{error['code']} at {error['path'] or '$'}: {error['message']}" for error in result.get("errors", [])]
    return f"{result['status']}: {'; '.join(errors)}" if errors else str(result["status"])


def _batches(path: Path) -> Iterator[tuple[list[_Line], int]]:
    """Yield the file's events in batches, each with the bytes it took in the file."""
    lines: list[_Line] = []
    size = read = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            read += len(line)
            if event := line.strip():
                lines.append(_Line(number, _with_id(event)))
                size += len(lines[-1].event)
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
