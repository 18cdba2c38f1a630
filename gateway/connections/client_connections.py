"""Clients' connections: their number, and the time that each may keep the gateway waiting.

A connection waits for its next request, sends one, or reads an answer. For each there is a time limit; beyond
it the connection is closed. The log has a client's address and its fault, never the bytes it sent.
"""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from typing import Any, Protocol

from aiohttp import EMPTY_PAYLOAD, StreamReader, web

from gateway.connections.close_reasons import SENTENCES, Reason, malformed
from gateway.connections.fast_path_parser import FastPath
from gateway.connections.os_limits import possible_connections
from gateway.connections.raw_responses import problem_bytes
from gateway.connections.requests_in_order import RequestsInOrder
from gateway.metrics import Metrics
from gateway.problems import (
    InternalError,
    Overloaded,
    Problem,
    RequestTimeout,
    problem_response,
)
from schemas.settings import Settings

log = logging.getLogger(__name__)

READ_BUFFER_BYTES = 64 * 1024
"""Bytes buffered of a body that nobody reads yet; twice that at most."""

MAX_URL_BYTES = 32 * 1024
"""Longest URL; trackers put an event into one."""

LINGER_SECONDS = 3.0
"""Time for which the rest of a refused body is read, so that the sender sees the answer."""

TLS_HANDSHAKE = b"\x16\x03"
"""The first bytes of a client that speaks TLS."""

QUIET_SECONDS = 10.0
"""Connections closed for one reason are logged once in this time."""


class Waiting(Protocol):
    """A connection that may have to go: one that waits for a request, or is about to."""

    @property
    def peername(self) -> Any:
        """The address of the other side, as the socket has it."""

    def end(self, reason: Reason, problem: Problem | None = None) -> None:
        """Close it for this reason; `problem`: with an answer, where one can be given."""


class Clients:
    """The connections of one gateway, those that wait for a request in the order they began to.

    `fast_path` answers the requests it accepts; without it aiohttp answers all of them.
    `closing`: each connection closes with its next answer.
    """

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self.head_seconds = settings.head_seconds
        self.transfer_seconds = settings.transfer_seconds
        self.answer_seconds = settings.acknowledge_seconds
        self._idle_seconds = settings.idle_seconds
        self._limit = possible_connections(settings.max_connections)
        self._open: set[Waiting] = set()
        self._waiting: dict[Waiting, None] = {}
        self._closed = metrics.connections_closed
        self._quiet_until: dict[Reason, float] = {}
        self.closing = False
        self.fast_path: FastPath | None = None
        metrics.connections.set_function(lambda: len(self._open))

    def connection(self, server: web.Server, handshake: Waiting | None = None) -> ClientConnection:
        """Return the protocol of one new connection; `handshake`: whose place it takes."""
        return ClientConnection(
            self,
            server,
            handshake,
            loop=asyncio.get_running_loop(),
            access_log=None,
            keepalive_timeout=self._idle_seconds,
            lingering_time=LINGER_SECONDS,
            read_bufsize=READ_BUFFER_BYTES,
            max_line_size=MAX_URL_BYTES,
        )

    def opened(self, connection: Waiting) -> None:
        """Add a new connection; where there are too many, close the one that has waited longest."""
        self._open.add(connection)
        if len(self._open) > self._limit:
            longest = next(iter(self._waiting), None)
            if longest is not None:
                self.lost(longest)
                longest.end(Reason.MADE_ROOM)
            else:
                connection.end(Reason.TOO_MANY, Overloaded("There are too many connections."))
                return
        self._waiting[connection] = None

    def lost(self, connection: Waiting) -> None:
        """Forget a connection."""
        self._open.discard(connection)
        self._waiting.pop(connection, None)

    def is_waiting(self, connection: ClientConnection) -> bool:
        """Tell whether no request of the connection is under way."""
        return connection in self._waiting

    def request_began(self, connection: web.RequestHandler, body: StreamReader) -> None:
        """Note that a request is under way."""
        if isinstance(connection, ClientConnection):
            self._waiting.pop(connection, None)
            connection.head_came(body)

    def request_ended(self, connection: web.RequestHandler) -> None:
        """Note that a request has been answered."""
        if isinstance(connection, ClientConnection) and connection in self._open:
            self._waiting[connection] = None

    def report_closed(self, connection: Waiting, reason: Reason, detail: str = "") -> None:
        """Count a connection that was closed, and log it, with a detail of ours, unless that was done a moment ago."""
        self._closed.labels(reason).inc()
        now = asyncio.get_running_loop().time()
        if now >= self._quiet_until.get(reason, 0.0):
            self._quiet_until[reason] = now + QUIET_SECONDS
            peer = connection.peername
            address = peer[0] if isinstance(peer, tuple) else peer
            sentence = f"{SENTENCES[reason]} ({detail})" if detail else SENTENCES[reason]
            log.warning("closed a connection of %s: %s", address, sentence)


class ClientConnection(RequestsInOrder):
    """One connection, with its time limits."""

    __slots__ = (
        "_answering",
        "_body",
        "_clients",
        "_early",
        "_fast_path",
        "_handshake",
        "_head_limit",
        "_reading_limit",
    )

    def __init__(self, clients: Clients, server: web.Server, handshake: Waiting | None, **options: Any) -> None:
        super().__init__(server, clients.fast_path, **options)
        self._clients = clients
        self._handshake = handshake
        self._body: StreamReader | None = None
        self._head_limit: asyncio.TimerHandle | None = None
        self._reading_limit: asyncio.TimerHandle | None = None
        self._answering: asyncio.Task[None] | None = None
        self._early = b""
        self._fast_path = clients.fast_path

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to wait for a request."""
        super().connection_made(transport)
        if self._handshake is not None:
            self._clients.lost(self._handshake)
            self._handshake = None
        self._clients.opened(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        """End all time limits."""
        self._clients.lost(self)
        self._stop_head_limit()
        self._answer_read()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; the first ones of a head that isn't whole start its time. An empty line is none (RFC 9112)."""
        if self._answering is not None:
            if data:  # else nobody would resume
                self._early += data
                self._pause_transport_reading()
            return
        expected = self._head_limit is None and self._expects_head()
        if expected and data.startswith(TLS_HANDSHAKE):
            self.end(Reason.TLS, malformed(None))
            return
        self._requests.idle = self._is_idle()
        super().data_received(data)
        if self._requests.accepted is not None:
            self._begin_response(self._requests.accepted)
            self._requests.accepted = None
            return
        if data.strip(b"\r\n") and expected and not self._messages and self._clients.is_waiting(self):
            self._head_limit = self._loop.call_later(
                self._clients.head_seconds,
                self.end,
                Reason.SLOW_HEAD,
                RequestTimeout("The head of a request has to come faster."),
            )

    def _begin_response(self, accepted: Any) -> None:
        """Begin to answer a request that the fast path has accepted."""
        self._clients.request_began(self, EMPTY_PAYLOAD)
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout + self._clients.answer_seconds
        self._answering = self._loop.create_task(self._respond(accepted))

    async def _respond(self, accepted: Any) -> None:
        assert self._fast_path is not None
        response = await self._fast_path.respond(accepted)
        self._answering = None
        self._clients.request_ended(self)
        if self.transport is None or self.transport.is_closing():
            return
        self.transport.write(response)
        if self._clients.closing:
            self.force_close()
            return
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        early, self._early = self._early, b""
        if early:
            self._resume_transport_reading()
        self.data_received(early)  # and what the parser kept: it stopped behind the request

    def _is_idle(self) -> bool:
        return self._is_settled() and not (self._paused or self._reading_paused or self._buffer_paused)

    def _is_settled(self) -> bool:
        return super()._is_settled() and self._answering is None

    def head_came(self, body: StreamReader) -> None:
        """End the time limit of the head; the body follows."""
        self._body = body
        self._stop_head_limit()

    def pause_writing(self) -> None:
        """Start the time in which the client has to read before more can be written."""
        super().pause_writing()
        self._reading_limit = self._loop.call_later(self._clients.transfer_seconds, self._give_up_reader)

    def resume_writing(self) -> None:
        """End that time: the client has read."""
        self._answer_read()
        super().resume_writing()

    def end(self, reason: Reason, problem: Problem | None = None) -> None:
        """Close the connection; `problem`: with an answer."""
        self._clients.report_closed(self, reason)
        if self.transport is not None:
            if problem is not None:
                self.transport.write(problem_bytes(problem, close=True))
            else:
                self.transport.abort()  # nothing is to be said: no end of TLS is waited for
        self.force_close()

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """Answer bytes that are no HTTP with a problem that shows nothing internal, and close the connection."""
        if isinstance(exc, ConnectionError):
            raise exc  # the client has gone
        if status == HTTPStatus.BAD_REQUEST:
            self._clients.report_closed(self, Reason.MALFORMED)
            problem = malformed(exc)
        else:
            log.error("a request failed outside of every handler", exc_info=exc)
            problem = InternalError("Something is wrong on our side; it has been logged.")
        response = problem_response(problem)
        response.force_close()
        return response

    def _expects_head(self) -> bool:
        # the rest of a body may come after its request was refused
        return self._clients.is_waiting(self) and (self._body is None or self._body.is_eof())

    def _stop_head_limit(self) -> None:
        if self._head_limit is not None:
            self._head_limit.cancel()
            self._head_limit = None

    def _give_up_reader(self) -> None:
        self._clients.report_closed(self, Reason.SLOW_READER)
        if self.transport is not None:
            self.transport.abort()  # closing would wait for the client to read

    def _answer_read(self) -> None:
        if self._reading_limit is not None:
            self._reading_limit.cancel()
            self._reading_limit = None
