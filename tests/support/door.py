"""The way from a client to the gateway, which a test may disturb."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

_OF_ONE_CONNECTION = ("Host", "Connection", "Content-Length", "Transfer-Encoding", "Keep-Alive")


@dataclass(frozen=True, slots=True)
class Pass:
    """The request goes to the gateway, after so many seconds, and its answer back."""

    after: float = 0.0


@dataclass(frozen=True, slots=True)
class Refuse:
    """Somebody on the way answers in the gateway's place."""

    status: int
    retry_after: str | None = None


@dataclass(frozen=True, slots=True)
class LoseAnswer:
    """The gateway gets the request; its answer is lost."""


@dataclass(frozen=True, slots=True)
class Break:
    """The connection breaks before the gateway gets anything."""


Conduct = Pass | Refuse | LoseAnswer | Break


@dataclass(slots=True)
class Seen:
    """A request with events that came by, and the status that it was answered with; None: not at all."""

    headers: CIMultiDict[str]
    query: dict[str, str]
    events: list[dict[str, Any]]
    conduct: Conduct
    status: int | None = None
    at: float = field(default_factory=lambda: asyncio.get_running_loop().time())


class Door:
    """Forwards requests to a gateway; `conduct` decides what is done with each POST. `seen` lists those."""

    def __init__(self, gateway: str) -> None:
        self.conduct: Callable[[], Conduct] = Pass
        self.seen: list[Seen] = []
        self.url = ""
        self._gateway = gateway
        app = web.Application(client_max_size=2**24)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1, auto_decompress=False)

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(auto_decompress=False)
        self.url = await serve(self._runner)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()
        await self._session.close()

    def events(self, name: str | None = None) -> list[dict[str, Any]]:
        """Return the events that came by, each once, in the order of their ids; those of one name, if one is given."""
        by_id = {event["event_id"]: event for seen in self.seen for event in seen.events}
        return [by_id[key] for key in sorted(by_id) if name in (None, by_id[key]["name"])]

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        if request.method != "POST":
            return await self._forward(request, body)
        seen = Seen(CIMultiDict(request.headers), dict(request.query), _events(request, body), self.conduct())
        self.seen.append(seen)
        response = await self._answer(request, body, seen.conduct)
        if response is None:
            assert request.transport is not None
            request.transport.abort()
            return web.Response(status=502)
        seen.status = response.status
        return response

    async def _answer(self, request: web.Request, body: bytes, conduct: Conduct) -> web.StreamResponse | None:
        match conduct:
            case Pass(after):
                await asyncio.sleep(after)
                return await self._forward(request, body)
            case Refuse(status, retry_after):
                return web.Response(status=status, headers=_as_the_gateway(request, retry_after))
            case LoseAnswer():
                await self._forward(request, body)
                return None
            case Break():
                return None

    async def _forward(self, request: web.Request, body: bytes) -> web.StreamResponse:
        url, headers = f"{self._gateway}{request.path_qs}", _without(request.headers)
        async with self._session.request(request.method, url, data=body, headers=headers) as answer:
            return web.Response(status=answer.status, body=await answer.read(), headers=_without(answer.headers))


def _without(headers: Any) -> CIMultiDict[str]:
    return CIMultiDict((name, value) for name, value in headers.items() if name not in _OF_ONE_CONNECTION)


def _as_the_gateway(request: web.Request, retry_after: str | None) -> dict[str, str]:
    """Return the headers by which the page may read a refusal."""
    headers = {
        "Access-Control-Allow-Origin": request.headers.get("Origin", ""),
        "Access-Control-Expose-Headers": "Retry-After",
    }
    return headers | ({"Retry-After": retry_after} if retry_after else {})


def _events(request: web.Request, body: bytes) -> list[dict[str, Any]]:
    if request.headers.get("Content-Encoding") == "gzip":
        body = gzip.decompress(body)
    try:
        events: list[dict[str, Any]] = json.loads(body)["events"]
    except ValueError:
        return []
    return events


async def serve(runner: web.AppRunner, port: int = 0) -> str:
    """Serve an application on a port of this machine, 0 being any that is free; returns its address."""
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    return f"http://127.0.0.1:{runner.addresses[0][1]}"
