"""aiohttp's parser, with plain requests taken out of what it returns (`gateway.routes.fast_path`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from aiohttp import EMPTY_PAYLOAD, HttpVersion11, StreamReader, hdrs
from aiohttp.http_parser import RawRequestMessage

_PATHS = frozenset({"/events", "/events/"})
_SPECIAL = (hdrs.CONTENT_ENCODING, hdrs.EXPECT, "Prefer")
"""Headers that ask for more than the plain way has."""

Message = tuple[RawRequestMessage, StreamReader]
Take = Callable[[RawRequestMessage, bytes], bool]
"""Takes a request with its body, and begins to answer it; False where aiohttp shall."""


class PlainFirst:
    """Offers a request to `take` when it came alone and whole; has the parser's face otherwise."""

    __slots__ = ("_parser", "_take")

    def __init__(self, parser: Any, take: Take) -> None:
        self._parser = parser
        self._take = take

    def __getattr__(self, name: str) -> Any:
        return getattr(self._parser, name)

    def feed_data(self, data: bytes) -> tuple[Sequence[Message], bool, bytes]:
        """Parse bytes; returns the requests that begin in them, and whether another protocol follows, and its bytes."""
        messages, upgraded, tail = self._parser.feed_data(data)
        if len(messages) == 1 and _may_be_plain(*messages[0]):
            message, payload = messages[0]
            # looked at, not read: reading tells the parser to go on
            if self._take(message, b"".join(payload._buffer)):
                self._parser.message_consumed()
                return (), upgraded, tail
        return messages, upgraded, tail


def _may_be_plain(message: RawRequestMessage, payload: StreamReader) -> bool:
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
