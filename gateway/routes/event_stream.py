"""GET /events/stream: verdicts as server-sent events, from now on or from where a reader was."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import aclosing, suppress

from aiohttp import hdrs, web
from aiokafka.errors import KafkaError

from gateway.connections.requests_in_order import RequestsInOrder
from gateway.context import GATEWAY
from gateway.live.listener import Listener
from gateway.live.positions import Positions, decode_positions
from gateway.live.tail import RETRY_SECONDS, Tail
from gateway.live.verdict import ACCEPTED, REJECTED, Conditions
from gateway.openapi_parts import Json, call, header
from gateway.problems import Forbidden, Overloaded
from gateway.query.parameters import Parameter, bad_parameter, event_type_filters, read_parameters
from gateway.routes.guard import only_application

log = logging.getLogger(__name__)

TAIL = web.AppKey("tail", Tail)

HEARTBEAT_SECONDS = 10.0
"""A reader hears something at least this often."""

_LOOK_SECONDS = 1.0
_PROBLEMS = (400, 401, 403, 503)


def _verdict(value: str) -> str:
    if value not in (ACCEPTED, REJECTED):
        raise ValueError(f"{ACCEPTED} or {REJECTED}")
    return value


_CONDITIONS = (
    Parameter("session_id", "Events of this session."),
    *(Parameter(known.name, known.description) for known in event_type_filters("")),
    Parameter("application", "Events of this application."),
    Parameter("verdict", "Only these.", parse=_verdict, schema={"enum": [ACCEPTED, REJECTED]}),
)
_LAST = Parameter("last_event_id", "The same as the header Last-Event-ID, for those who can't send one.")


async def get_event_stream(request: web.Request) -> web.StreamResponse:
    """Write the verdicts that meet the conditions, until the reader goes or the gateway stops."""
    given = read_parameters(request, (*_CONDITIONS, _LAST))
    tail, settings = request.app[TAIL], request.app[GATEWAY].settings
    if (only := only_application(request)) is not None and given.setdefault("application", only) != only:
        raise Forbidden(f"This key of {only} may read its own application's events alone.")
    starts = _starts(request.headers.get("Last-Event-ID") or given.pop(_LAST.name, ""), tail)
    if tail.listeners >= settings.stream_readers:
        raise Overloaded(f"{settings.stream_readers} readers are connected: try again.")
    response = web.StreamResponse(
        headers={
            hdrs.CONTENT_TYPE: "text/event-stream",
            hdrs.CACHE_CONTROL: "no-store",
            "X-Accel-Buffering": "no",  # nginx would hold events back
        }
    )
    async with tail.listening(Conditions(**given), starts) as listener:
        await response.prepare(request)
        if request.method == hdrs.METH_GET:
            with suppress(ConnectionError):  # the reader has gone
                await _Writer(request, response, tail, listener).run()
    return response


class _Writer:
    """Writes one stream."""

    def __init__(self, request: web.Request, response: web.StreamResponse, tail: Tail, listener: Listener) -> None:
        self._request = request
        self._clients = request.app[GATEWAY].clients
        self._response, self._tail, self._listener = response, tail, listener
        self._written_at = 0.0

    async def run(self) -> None:
        """Write until the gateway stops. Raises ConnectionError when the reader has gone."""
        while not await self._tail.wait_started(_LOOK_SECONDS):
            if self._is_over:
                return
            await self._beat("waiting for Kafka")
        await self._write(b": connected\n\n")
        await self._catch_up()
        while not self._is_over:
            await self._listener.wait(_LOOK_SECONDS)
            if events := self._listener.take():
                await self._write(events)
            else:
                await self._beat("heartbeat")

    @property
    def _is_over(self) -> bool:
        """Tell whether the gateway stops, or the reader has gone."""
        return self._clients.closing or self._request.transport is None or self._request.transport.is_closing()

    async def _catch_up(self) -> None:
        """Write what the reader has missed since the position that it named."""
        while self._listener.own and not self._is_over:
            try:
                async with aclosing(self._tail.read_own(self._listener)) as own:
                    async for events in own:
                        if self._is_over:
                            return
                        if events:
                            await self._write(events)
                        else:
                            await self._beat("heartbeat")
            except KafkaError as error:
                log.warning("a reader of the live stream waits for Kafka: %s", error)
                await self._beat("waiting for Kafka")
                await asyncio.sleep(RETRY_SECONDS)

    async def _beat(self, text: str) -> None:
        """Write a comment when one is due; to a half-closed connection soon, which shows whether it is open."""
        protocol = self._request.protocol
        in_doubt = isinstance(protocol, RequestsInOrder) and protocol.half_closed
        if time.monotonic() - self._written_at >= (_LOOK_SECONDS if in_doubt else HEARTBEAT_SECONDS):
            await self._write(f": {text}\n\n".encode())

    async def _write(self, data: bytes) -> None:
        self._written_at = time.monotonic()
        await self._response.write(data)


def _starts(text: str, tail: Tail) -> Positions | None:
    """Return the positions that a reader names. Raises BadRequest."""
    try:
        return decode_positions(text, tail.topics) if text else None
    except ValueError as error:
        raise bad_parameter(f"Last-Event-ID is {error}.") from None


def paths() -> Json:
    """Return the call as the OpenAPI document has it."""
    last = header("Last-Event-ID", "The id of the last event that was read: the stream goes on after it.")
    parameters = [*(known.openapi() for known in (*_CONDITIONS, _LAST)), last]
    schema = {"type": "string", "description": "Server-sent events `accepted`, `rejected` and `gap`."}
    summary = "Verdicts as they come, as server-sent events"
    return {"/events/stream": {"get": call(summary, schema, _PROBLEMS, parameters, media="text/event-stream")}}
