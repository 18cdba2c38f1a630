"""A gateway with one connection, whose publisher is a fake."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from typing import Any, cast

import pytest
from aiohttp import web

from gateway.context import GATEWAY
from gateway.outgoing import Outcome, OutgoingRecord

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


def under(**changes: Any) -> pytest.MarkDecorator:
    """Change settings of the gateway behind the door."""
    return pytest.mark.parametrize("door", [changes], indirect=True)


def sample(door: Door, name: str, **labels: str) -> float | None:
    return door.gateway.metrics.registry.get_sample_value(name, labels)
