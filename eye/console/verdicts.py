"""Verdicts as they are published: the gateway's server-sent events, kept for one page in a bounded list."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections import deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from eye.console.gateway_reads import GatewayReads
from eye.console.visitors import Visitor

KEPT = 200
"""Verdicts that a page keeps; older ones give way."""

_RETRY_SECONDS = 1.0
_LINE_BYTES = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Verdict:
    """One verdict; `number` counts those of the page."""

    number: int
    kind: str
    value: Mapping[str, Any]
    text: str


class LiveVerdicts:
    """Hears the verdicts that meet conditions and keeps the latest KEPT that contain a text."""

    def __init__(self, gateway: GatewayReads, visitor: Visitor, conditions: Mapping[str, str], text: str) -> None:
        self._gateway, self._visitor, self._conditions, self._text = gateway, visitor, conditions, text.lower()
        self._numbers = itertools.count(1)
        self._last_id = ""
        self.kept: deque[Verdict] = deque(maxlen=KEPT)
        self.state = "connecting"
        self.heard = 0
        self.missed = 0

    async def listen(self) -> None:
        """Hear verdicts until cancelled, until the visitor has gone, or until the gateway refuses for good."""
        while not self._visitor.gone:
            for url in self._gateway.urls:
                try:
                    await self._hear(url)
                except (aiohttp.ClientError, TimeoutError, ValueError) as error:
                    self.state = f"waits: {url} does not answer ({str(error) or type(error).__name__})"
                if self.state.startswith("refused"):
                    return
            await asyncio.sleep(_RETRY_SECONDS)

    async def _hear(self, url: str) -> None:
        headers = {"X-API-Key": self._visitor.key} | ({"Last-Event-ID": self._last_id} if self._last_id else {})
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=30)
        session = self._gateway.session
        async with session.get(
            f"{url}/events/stream",
            params=dict(self._conditions),
            headers=headers,
            timeout=timeout,
            read_bufsize=_LINE_BYTES,
        ) as response:
            if response.status != 200:
                detail = (await response.json(content_type=None)).get("detail", response.status)
                self.state = f"{'waits' if response.status in (429, 503) else 'refused'}: {detail}"
                return
            self.state = "live"
            async for kind, identity, data in _events(response):
                if self._visitor.gone:
                    return
                self._last_id = identity or self._last_id
                self._take(kind, data)

    def _take(self, kind: str, data: str) -> None:
        value = json.loads(data)
        if kind == "gap":
            self.missed += value.get("missed") or 0
            return
        self.heard += 1
        if self._text in data.lower():
            self.kept.append(Verdict(next(self._numbers), kind, value, data))


async def _events(response: aiohttp.ClientResponse) -> AsyncIterator[tuple[str, str, str]]:
    """Yield kind, id and data of each event."""
    fields: dict[str, list[str]] = {}
    async for line in response.content:
        name, _, value = line.decode("utf-8", "replace").rstrip("\n").partition(": ")
        if name:
            fields.setdefault(name, []).append(value)
            continue
        if "data" in fields:
            yield fields.get("event", ["message"])[0], fields.get("id", [""])[0], "\n".join(fields["data"])
        fields = {}
