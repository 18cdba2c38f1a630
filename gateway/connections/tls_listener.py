"""The listening sockets of HTTPS: a connection shakes hands first, in bounded time, and counts from its beginning."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Sequence
from typing import Any

from gateway.connections.certificate import Certificate
from gateway.connections.client_connections import TLS_HANDSHAKE, ClientConnection, Clients
from gateway.connections.close_reasons import Reason
from gateway.connections.raw_responses import problem_bytes
from gateway.problems import BadRequest, Problem

log = logging.getLogger(__name__)

SHUTDOWN_SECONDS = 2.0
"""Time for a client to answer the end of TLS, once all was sent to it."""

_PAUSE_SECONDS = 0.1
"""Pause after a connection could not be accepted, for want of open files."""

_DRAINED_BYTES = 64 * 1024


class TlsListener:
    """Accepts connections on listening sockets, and greets each with the certificate of that moment.

    `connect` makes the protocol of a connection; its argument is the handshake that it takes the place of.
    """

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        clients: Clients,
        certificate: Certificate,
        connect: Callable[[Handshake], ClientConnection],
    ) -> None:
        self.sockets = sockets
        self.clients = clients
        self.certificate = certificate
        self.connect = connect
        self.tasks = set[asyncio.Task[None]]()

    def start(self) -> None:
        """Begin to accept connections."""
        for listening in self.sockets:
            self.begin(self._accept(listening))

    def close(self) -> None:
        """Accept no more connections, and end the handshakes that are under way: no request has come by them."""
        for task in self.tasks:
            task.cancel()
        for listening in self.sockets:
            listening.close()

    def begin(self, work: Any) -> asyncio.Task[None]:
        """Start a task that ends with the listener at the latest."""
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                client, address = await loop.sock_accept(listening)
            except OSError as error:
                log.error("a connection can't be accepted: %s", error)
                await asyncio.sleep(_PAUSE_SECONDS)
                continue
            Handshake(self, client, address).begin()


class Handshake:
    """A connection whose TLS handshake is under way; among the clients it waits for its first request."""

    def __init__(self, listener: TlsListener, client: socket.socket, address: Any) -> None:
        self._listener = listener
        self._clients = listener.clients
        self._client: socket.socket | None = client
        self._task: asyncio.Task[None] | None = None
        self.peername = address

    def begin(self) -> None:
        """Count it, and start it unless there are too many."""
        assert self._client is not None
        self._task = self._listener.begin(self._run(self._client))
        self._task.add_done_callback(self._ended)
        self._clients.opened(self)

    def end(self, reason: Reason, problem: Problem | None = None) -> None:
        """Close the connection; nothing can be said to it."""
        self._clients.report_closed(self, reason)
        if self._task is not None:
            self._task.cancel()

    def _ended(self, _: asyncio.Task[None]) -> None:
        self._clients.lost(self)
        if self._client is not None:
            self._client.close()

    async def _run(self, client: socket.socket) -> None:
        try:
            async with asyncio.timeout(self._clients.head_seconds):
                first = await _first_byte(client)
                if first == TLS_HANDSHAKE[:1]:
                    await self._shake_hands(client)
                elif first:
                    self._refuse(client)
        except (TimeoutError, ConnectionAbortedError):  # the latter by uvloop, for its own timeout
            self._clients.report_closed(self, Reason.SLOW_HANDSHAKE)
        except ssl.SSLError as error:
            self._clients.report_closed(self, Reason.HANDSHAKE, (error.reason or "").lower().replace("_", " "))
        except OSError:
            pass  # the client has gone

    async def _shake_hands(self, client: socket.socket) -> None:
        self._client = None  # it is the transport's now
        await asyncio.get_running_loop().connect_accepted_socket(
            lambda: self._listener.connect(self),
            client,
            ssl=self._listener.certificate.context,
            ssl_handshake_timeout=self._clients.head_seconds,
            ssl_shutdown_timeout=SHUTDOWN_SECONDS,
        )

    def _refuse(self, client: socket.socket) -> None:
        """Tell a client that speaks plain HTTP to use https."""
        self._clients.report_closed(self, Reason.PLAIN_HTTP)
        client.recv(_DRAINED_BYTES)  # what is unread would turn the close into a reset, and lose the answer
        client.send(problem_bytes(BadRequest("This port speaks HTTPS: use https://."), close=True))


async def _first_byte(client: socket.socket) -> bytes:
    """Wait for the first byte and leave it there; nothing where the client has gone."""
    loop = asyncio.get_running_loop()
    came = asyncio.Event()

    def readable() -> None:
        loop.remove_reader(client)
        came.set()

    loop.add_reader(client, readable)
    try:
        await came.wait()
    finally:
        loop.remove_reader(client)
    return client.recv(1, socket.MSG_PEEK)


async def bind(host: str, port: int, backlog: int) -> list[socket.socket]:
    """Return the listening sockets of an address, which other processes may share. Raises OSError."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    sockets: list[socket.socket] = []
    try:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            listening = socket.socket(family, kind, protocol)
            sockets.append(listening)
            listening.setblocking(False)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            listening.bind(address)
            listening.listen(backlog)
    except OSError:
        for listening in sockets:
            listening.close()
        raise
    return sockets
