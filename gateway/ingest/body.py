"""The body of a request with events: its types, and how it is read and decompressed within its limits."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TypeVar

from aiohttp import HttpVersion11, hdrs, web

from gateway.ingest.decompression import GZIP_MAGIC, decompress
from gateway.ingest.event_reader import ParsedBody, Reader
from gateway.problems import RequestTimeout, TooLarge, Unsupported
from schemas.settings import Settings

JSON_TYPES = ("application/json", "text/plain", "application/octet-stream", "")
"""Content types of one JSON document; text/plain is sent by a browser's sendBeacon, the last two say nothing."""

NDJSON_TYPES = (
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "application/jsonlines",
    "application/x-jsonlines",
)
"""Content types of one event a line."""


LARGE_BYTES = 128 * 1024
"""A larger body is read in a thread, so that no other request waits for it; the worst take a second a megabyte."""

_JSON_SUFFIX = re.compile(r"application/(?!cloudevents(-batch)?\+)[^\s/+]+(\+[^\s/+]+)*\+json")
"""Content types like application/vnd.shop.event+json: one JSON document (RFC 6839); CloudEvents are a format's."""

READ = web.RequestKey("body", bytes)
"""The body of a request that was read to see what it is; it is read once more."""

_CHARSET = re.compile(r';\s*charset\s*=\s*"?([^\s;"]*)', re.IGNORECASE)

THREADS = 2
"""Threads for bodies that take seconds: large ones that only the tolerant reader takes."""

UNKNOWN_LARGE_BYTES = 32 * 1024
"""The same limit while nobody knows the sender: what strangers send holds up others least."""

T = TypeVar("T")


Charge = Callable[[int], None]
"""Charges a request with bytes; raises Overloaded where they don't fit."""


class BodyReader:
    """Reads bodies within the limits of one deployment, large ones in threads of its own."""

    def __init__(self, settings: Settings) -> None:
        self._max_bytes = settings.max_request_bytes
        self._seconds = settings.transfer_seconds
        self._threads = ThreadPoolExecutor(THREADS, "large bodies")
        self._for_unknown = ThreadPoolExecutor(1, "bodies of unknown senders")
        self.reader = Reader(max_events=settings.max_request_events, max_event_bytes=settings.max_event_bytes)

    async def read_events(self, request: web.Request, charge: Charge) -> ParsedBody:
        """Read the events of a request. Raises a Problem of 400, 408, 413, 415 or 503."""
        content_type = media_type(request.headers)
        if not _is_json_type(content_type) and content_type not in NDJSON_TYPES:
            raise Unsupported("Content-Type is application/json, or application/x-ndjson for one event a line.")
        if not _is_utf8(request.headers.get(hdrs.CONTENT_TYPE, "")):
            raise Unsupported("JSON is in UTF-8: send it so, and leave the charset of Content-Type out.")
        body = await self.read(request, charge)
        read = self.reader.read_lines if content_type in NDJSON_TYPES else self.reader.read
        return await self.offload_if_large(len(body), lambda: read(body))

    async def read(self, request: web.Request, charge: Charge, *, find_gzip: bool = False, known: bool = True) -> bytes:
        """Read a body, decompressed, or take it from `READ`. Raises a Problem of 400, 408, 413, 415 or 503.

        `find_gzip`: gzip is recognised by its first bytes, whatever the head says. `known` as in `offload_if_large`.
        """
        if READ in request:
            read: bytes = request.pop(READ)
            return read
        try:
            async with asyncio.timeout(self._seconds):
                sent = await self._receive(request, charge)
        except TimeoutError:
            raise RequestTimeout("The body of a request has to come faster.") from None
        body = await self.decompress(sent, request.headers.get("Content-Encoding", ""), known=known)
        if find_gzip and body.startswith(GZIP_MAGIC):
            body = await self.decompress(body, "gzip", known=known)
        charge(len(body) - len(sent))
        return body

    async def decompress(self, sent: bytes, encoding: str, *, known: bool = True) -> bytes:
        """Decompress a body: at once while it stays small, anew in a thread when it grows; a few bytes may be a bomb.

        Raises a Problem of 400, 413 or 415.
        """
        small = _inline_bytes(known)
        try:
            return decompress(sent, encoding, min(small, self._max_bytes))
        except TooLarge:
            return await self.offload_if_large(
                small + 1, lambda: decompress(sent, encoding, self._max_bytes), known=known
            )

    async def offload_if_large(self, size: int, work: Callable[[], T], *, known: bool = True) -> T:
        """Run pure work on so many bytes: at once, or in a thread when it would hold up other requests.

        Senders whose key is not `known` yet have one thread for all of them: no other sender waits behind their bodies.
        """
        if size <= _inline_bytes(known):
            return work()
        threads = self._threads if known else self._for_unknown
        return await asyncio.get_running_loop().run_in_executor(threads, work)

    def close(self) -> None:
        """End the threads, without waiting for their work."""
        for threads in (self._threads, self._for_unknown):
            threads.shutdown(wait=False, cancel_futures=True)

    async def _receive(self, request: web.Request, charge: Charge) -> bytes:
        """Receive a body, charged as it comes: nobody is charged for bytes that may never come."""
        too_large = TooLarge(f"A request has at most {self._max_bytes} bytes, compressed or not.")
        if (request.content_length or 0) > self._max_bytes:
            raise too_large
        if request.headers.get(hdrs.EXPECT) and request.version >= HttpVersion11:
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0
        body = bytearray()
        while part := await request.content.readany():
            if len(body) + len(part) > self._max_bytes:
                raise too_large
            charge(len(part))
            body += part
        return bytes(body)


def _inline_bytes(known: bool) -> int:
    return LARGE_BYTES if known else UNKNOWN_LARGE_BYTES


def media_type(headers: Mapping[str, str]) -> str:
    """Return the type of a body, in lower case and without parameters; empty where none is given."""
    return headers.get(hdrs.CONTENT_TYPE, "").partition(";")[0].strip().lower()


@lru_cache(maxsize=64)
def is_json(content_type: str) -> bool:
    """Tell whether a Content-Type stands for one JSON document, in UTF-8 as JSON has to be."""
    return _is_json_type(media_type({hdrs.CONTENT_TYPE: content_type})) and _is_utf8(content_type)


def _is_utf8(content_type: str) -> bool:
    """Tell whether a Content-Type names no charset, or UTF-8 or a part of it."""
    charset = _CHARSET.search(content_type)
    return charset is None or charset[1].lower() in ("utf-8", "utf8", "us-ascii")


def _is_json_type(content_type: str) -> bool:
    return content_type in JSON_TYPES or _JSON_SUFFIX.fullmatch(content_type) is not None
