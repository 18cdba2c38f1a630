"""Plain requests: the shortest way of the most common one, a POST of events that are all accepted.

A request is plain when it came whole in what was read at once, has a known key, is JSON without more ado, and when each
of its events can be stored. It is taken out of what aiohttp's parser returns, and answered without aiohttp's tasks,
request, router and response. Whatever is not plain goes aiohttp's way with nothing done to it, and is refused there.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from aiohttp import EMPTY_PAYLOAD
from aiohttp.http_parser import RawRequestMessage

from gateway.access.api_keys import Grant, Scope
from gateway.access.authorization import find_grant
from gateway.admission.admission import EVENT_BYTES, Room, Seat
from gateway.connections.raw_responses import answer_bytes, problem_bytes
from gateway.context import Gateway
from gateway.ingest.body import JSON_TYPES, LARGE_BYTES, media_type
from gateway.ingest.event_reader import Intake
from gateway.problems import Problem, told
from gateway.routes.events import make_durable, make_records
from schemas.record import TRACEPARENT

if TYPE_CHECKING:
    from gateway.connections.client_connections import ClientConnection

_JSON = {"Content-Type": "application/json"}
_WRITE = Scope.WRITE


class PlainRequest(NamedTuple):
    """A request whose events can all be stored, with its seat; `began` on the performance counter."""

    path: str
    grant: Grant
    intake: Intake
    traceparent: str
    seat: Seat
    began: float


class Plain:
    """Takes plain requests, and answers them."""

    def __init__(self, gateway: Gateway, room: Room) -> None:
        self._gateway = gateway
        self._room = room
        self._max_bytes = min(LARGE_BYTES, gateway.settings.max_request_bytes)

    def take(self, connection: ClientConnection, message: RawRequestMessage, body: bytes) -> PlainRequest | None:
        """Begin with a request that is plain; None for any other, as if it had not been looked at."""
        began = time.perf_counter()
        if (
            len(body) > self._max_bytes
            or media_type(message.headers) not in JSON_TYPES
            or self._gateway.traffic.stopping
        ):
            return None
        try:
            grant = find_grant(self._gateway.keys, message.headers)
            seat = self._room.lend()
        except Problem:
            return None
        try:
            intake = self._read(grant, body, seat)
        except Exception:  # whatever it is, aiohttp's way meets it again, and tells of it
            intake = None
        if intake is None:
            self._room.take_back(seat)
            return None
        self._gateway.traffic.begin(connection, EMPTY_PAYLOAD)
        return PlainRequest(message.path, grant, intake, message.headers.get(TRACEPARENT, ""), seat, began)

    async def answer(self, connection: ClientConnection, request: PlainRequest) -> None:
        """Make the events durable, and say of each what became of it."""
        gateway, path = self._gateway, request.path
        application, intake = request.grant.application, request.intake
        problem = None
        try:
            records = make_records(application, intake.items, request.traceparent)
            body = await make_durable(gateway, application, intake, records)
        except Exception as error:
            problem = told(error, gateway.metrics, f"POST {path}")
        finally:
            self._room.take_back(request.seat)
            gateway.traffic.end(connection)
        close = gateway.traffic.stopping
        if problem is None:
            status, answer = 202, answer_bytes(202, _JSON, body, close=close)
        else:
            status, answer = problem.status, problem_bytes(problem, close=close)
        connection.answer(answer, close=close)
        gateway.traffic.count("POST", path, status, time.perf_counter() - request.began)

    def _read(self, grant: Grant, body: bytes, seat: Seat) -> Intake | None:
        """Return the events of a body where each can be stored, and the room and the rate limits let all of them in."""
        if _WRITE not in grant.scopes:
            return None
        self._gateway.rates.check(grant.limits)  # before the body is read, which would be in vain
        intake = self._gateway.reader.read_plain(body)
        if intake is None:
            return None
        seat.take(len(body) + len(intake.items) * EVENT_BYTES)
        self._gateway.rates.take(grant.limits, len(intake.items))
        return intake
