"""aiohttp's parser, with plain requests taken out of what it returns (`gateway.plain`)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from aiohttp import HttpVersion11, StreamReader, hdrs
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_parser import RawRequestMessage

_PATHS = frozenset({"/events", "/events/"})
_SPECIAL = (hdrs.CONTENT_ENCODING, hdrs.EXPECT, "Prefer")
"""Headers that ask for more than the plain way has."""

Message = tuple[RawRequestMessage, StreamReader]
Take = Callable[[RawRequestMessage, bytes], bool]
"""Takes a request with its body, and begins to answer it; False where aiohttp shall."""


class PlainFirst:
    """Offers a request to `take` when it came alone and whole; has the parser's face otherwise."""

    def __init__(self, parser: Any, protocol: BaseProtocol, loop: asyncio.AbstractEventLoop, take: Take) -> None:
        self._parser = parser
        self._protocol = protocol
        self._loop = loop
        self._take = take

    def __getattr__(self, name: str) -> Any:
        return getattr(self._parser, name)

    def feed_data(self, data: bytes) -> tuple[Sequence[Message], bool, bytes]:
        """Parse bytes; returns the requests that begin in them, and whether another protocol follows, and its bytes."""
        messages, upgraded, tail = self._parser.feed_data(data)
        if len(messages) == 1 and _may_be_plain(*messages[0]):
            message, payload = messages[0]
            body = payload.read_nowait()
            if self._take(message, body):
                self._parser.message_consumed()
                messages = ()
            else:
                messages = [(message, self._whole(body))]
        return messages, upgraded, tail

    def _whole(self, body: bytes) -> StreamReader:
        payload = StreamReader(self._protocol, max(1, len(body)), loop=self._loop)
        payload.feed_data(body)
        payload.feed_eof()
        return payload


def _may_be_plain(message: RawRequestMessage, payload: StreamReader) -> bool:
    headers = message.headers
    return (
        message.path in _PATHS
        and message.method == "POST"
        and payload.is_eof()
        and payload.exception() is None
        and message.version == HttpVersion11
        and not (message.should_close or message.upgrade or message.chunked)
        and not any(name in headers for name in _SPECIAL)
    )
