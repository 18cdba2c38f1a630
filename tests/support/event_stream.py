"""A reader of GET /events/stream, as a browser's EventSource would be."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from aiohttp import ClientResponse, ClientSession, ClientTimeout


class ServerSentEvent(NamedTuple):
    """One event: its kind, its id, and its data read as JSON."""

    kind: str
    id: str
    data: Any


class EventStream:
    """One connection; `last_id` is the id of the last event that was read."""

    def __init__(self, response: ClientResponse) -> None:
        self._response = response
        self.last_id = ""

    async def events(self) -> AsyncIterator[ServerSentEvent]:
        """Yield the events as they come; comments are left out."""
        fields: dict[str, list[str]] = {}
        async for line in self._response.content:
            name, _, value = line.decode().rstrip("\n").partition(": ")
            if name:
                fields.setdefault(name, []).append(value)
                continue
            if "data" in fields:
                self.last_id = fields["id"][0]
                yield ServerSentEvent(fields["event"][0], self.last_id, json.loads("\n".join(fields["data"])))
            fields = {}

    async def read_until(
        self, done: Callable[[list[ServerSentEvent]], bool], seconds: float = 30
    ) -> list[ServerSentEvent]:
        """Return the events up to the one with which they are enough; fails after a deadline."""
        found: list[ServerSentEvent] = []
        async with asyncio.timeout(seconds):
            async for event in self.events():
                found.append(event)
                if done(found):
                    break
        return found


class Refused(Exception):
    """The gateway answered with a problem, which is the message."""


@asynccontextmanager
async def listening(client: ClientSession, last_id: str = "", **conditions: str) -> AsyncIterator[EventStream]:
    """Lend a stream that hears what comes from now on, or after an id. Raises Refused."""
    headers = {"Last-Event-ID": last_id} if last_id else {}
    timeout = ClientTimeout(total=None)
    async with client.get("/events/stream", params=conditions, headers=headers, timeout=timeout) as response:
        if response.status != 200:
            raise Refused(await response.text())
        assert (await response.content.readline(), await response.content.readline()) == (b": connected\n", b"\n")
        yield EventStream(response)
