"""aiohttp's parser with a fast path: a request that can take it is accepted before aiohttp sees it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from aiohttp import EMPTY_PAYLOAD, HttpVersion11, StreamReader, hdrs
from aiohttp.http_parser import RawRequestMessage
from multidict import istr

_PATHS = frozenset({"/events", "/events/"})
_SPECIAL = (
    hdrs.CONTENT_ENCODING,
    hdrs.EXPECT,
    istr("Idempotency-Key"),
    hdrs.ORIGIN,
    istr("Prefer"),
    istr("ce-specversion"),
)
"""Headers that ask for more than the fast path has; as `istr` they are looked up without being lowered each time."""

Message = tuple[RawRequestMessage, StreamReader]


class FastPath(Protocol):
    """The short way of the most common request (`gateway.routes.fast_path`)."""

    def accept(self, message: RawRequestMessage, body: bytes) -> Any | None:
        """Accept a request that came whole, to be answered by `respond`; None leaves it to aiohttp untouched."""

    async def respond(self, accepted: Any) -> bytes:
        """Return the whole response to a request that was accepted. Never raises."""


class FastPathParser:
    """Offers a request to the fast path while `idle` is set and it came whole.

    The wrapped parser stops behind each request, and goes on when it is fed again. `accepted` is the request that was
    taken by the last call of `feed_data`, to be answered by the connection; `awaits_body` says that the body of a
    request is still to come. Every other attribute is the wrapped parser's.
    """

    __slots__ = ("_body", "_fast_path", "_parser", "accepted", "idle")

    def __init__(self, parser: Any, fast_path: FastPath | None) -> None:
        self._parser = parser
        self._fast_path = fast_path
        self._body: StreamReader | None = None
        self.idle = False
        self.accepted: Any | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._parser, name)

    @property
    def awaits_body(self) -> bool:
        """True while a request's body is incomplete."""
        return self._body is not None and not self._body.is_eof()

    def feed_data(self, data: bytes) -> tuple[Sequence[Message], bool, bytes]:
        """Parse bytes; returns the requests that begin in them, and whether another protocol follows, and its bytes."""
        self.accepted = None
        messages, upgraded, tail = self._parser.feed_data(data)
        if self._body is not None and self._body.is_eof():
            # the end of a body is where the parser stopped; its request was handed over before
            self._body = None
            if not messages and not upgraded:
                messages, upgraded, tail = self._parser.feed_data(b"")
        if not messages:
            return messages, upgraded, tail
        if self.idle and self._fast_path is not None and _is_eligible(*messages[0]):
            message, payload = messages[0]
            # the buffer is looked at, not read: reading tells the parser to go on
            self.accepted = self._fast_path.accept(message, b"".join(payload._buffer))
            if self.accepted is not None:
                self._parser.message_consumed()
                return (), upgraded, tail
        if not messages[-1][1].is_eof():
            self._body = messages[-1][1]
        return messages, upgraded, tail


def _is_eligible(message: RawRequestMessage, payload: StreamReader) -> bool:
    headers = message.headers
    return (
        message.path in _PATHS
        and message.method == "POST"
        and payload is not EMPTY_PAYLOAD
        and payload.is_eof()
        and payload.exception() is None
        and message.version == HttpVersion11
        and not (message.should_close or message.upgrade or message.chunked)
        and not any(name in headers for name in _SPECIAL)
    )
