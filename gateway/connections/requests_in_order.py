"""aiohttp's connection, with requests parsed one at a time, and with answers for clients that have half-closed."""

from __future__ import annotations

from typing import Any, cast

from aiohttp import web
from aiohttp.http_parser import HttpRequestParser

from gateway.connections.fast_path_parser import FastPath, FastPathParser

_LOOK_SECONDS = 0.02
"""How often a half-closed connection is looked at, until its last answer is written."""


class RequestsInOrder(web.RequestHandler):
    """A connection whose requests are parsed one at a time, each when the one before is taken up.

    So what follows a request, be it no HTTP at all, takes nothing from its answer. A client that closes its sending
    side gets the answers that it is owed; then the connection ends. (In TLS, that end is the connection's.)
    """

    __slots__ = ("_half_closed", "_requests")

    def __init__(self, server: web.Server, fast_path: FastPath | None, **options: Any) -> None:
        super().__init__(server, **options)
        self._max_msg_queue_size, self._msg_queue_resume_size = 1, 0
        parser = HttpRequestParser(
            self,
            self._loop,
            self._read_bufsize,
            max_line_size=self.max_line_size,
            max_field_size=self.max_field_size,
            max_headers=self.max_headers,
            payload_exception=web.RequestPayloadError,
            auto_decompress=False,  # bodies are decompressed by our own hand, with a bound
            max_msg_queue_size=1,
        )
        self._requests = FastPathParser(parser, fast_path)
        self._parser = cast(Any, self._requests)
        self._half_closed = False

    @property
    def half_closed(self) -> bool:
        """Tell whether the client sends no more: it has gone, or it only waits for its answers."""
        return self._half_closed

    def eof_received(self) -> bool:  # type: ignore[override] # aiohttp keeps no connection open
        """Note that the client sends no more; returns whether the connection stays open for answers."""
        if self._is_settled() or self._requests.awaits_body or self.ssl_context is not None:
            return False
        if not self._half_closed:
            self._half_closed = True
            self._close_when_settled()
        return True

    def _is_settled(self) -> bool:
        """Tell whether every request has its answer."""
        return self._waiter is not None and not self._waiter.done() and not self._messages

    def _close_when_settled(self) -> None:
        if self.transport is None:
            return
        if self._is_settled():
            self.force_close()
        else:
            self._loop.call_later(_LOOK_SECONDS, self._close_when_settled)
