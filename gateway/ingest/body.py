"""The body of a request with events: what it may be, read and decompressed within its limits."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from typing import TypeVar

from aiohttp import hdrs, web

from gateway.admission.admission import EVENT_BYTES, SEAT, Seat
from gateway.context import GATEWAY, Gateway
from gateway.ingest.decompression import decompress
from gateway.ingest.event_reader import Intake
from gateway.problems import RequestTimeout, TooLarge, Unsupported

JSON_TYPES = ("application/json", "text/plain", "application/octet-stream", "")
"""Content types of one JSON document; text/plain is what a browser's sendBeacon says, the last two say nothing."""

NDJSON_TYPES = (
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "application/jsonlines",
    "application/x-jsonlines",
)
"""Content types of one event a line."""


LARGE_BYTES = 128 * 1024
"""The largest work that others wait for; the worst bodies take a second a megabyte."""

_JSON_SUFFIX = re.compile(r"application/[^\s/+]+(\+[^\s/+]+)*\+json")
"""Content types like application/vnd.shop.event+json: one JSON document (RFC 6839)."""

T = TypeVar("T")


async def read_events(request: web.Request) -> Intake:
    """Read the events of a request. Raises a Problem of 400, 408, 413, 415 or 503."""
    gateway, seat = request.app[GATEWAY], request[SEAT]
    max_bytes = gateway.settings.max_request_bytes
    content_type = media_type(request.headers)
    if content_type not in JSON_TYPES and content_type not in NDJSON_TYPES and not _JSON_SUFFIX.fullmatch(content_type):
        raise Unsupported("Content-Type is application/json, or application/x-ndjson for one event a line.")
    try:
        async with asyncio.timeout(gateway.settings.transfer_seconds):
            sent = await _read(request, seat, max_bytes)
    except TimeoutError:
        raise RequestTimeout("The body of a request has to come faster.") from None
    body = decompress(sent, request.headers.get("Content-Encoding", ""), max_bytes)
    seat.take(len(body) - len(sent))
    read = gateway.reader.read_lines if content_type in NDJSON_TYPES else gateway.reader.read
    intake = await aside(gateway, len(body), lambda: read(body))
    seat.take(len(intake.items) * EVENT_BYTES)
    return intake


def media_type(headers: Mapping[str, str]) -> str:
    """Return the type of a body, in lower case and without parameters; empty where none is given."""
    return headers.get(hdrs.CONTENT_TYPE, "").partition(";")[0].strip().lower()


async def aside(gateway: Gateway, size: int, work: Callable[[], T]) -> T:
    """Do what is pure work on so many bytes: at once, or beside the other requests where it may take long."""
    if size <= LARGE_BYTES:
        return work()
    return await asyncio.get_running_loop().run_in_executor(gateway.threads, work)


async def _read(request: web.Request, seat: Seat, max_bytes: int) -> bytes:
    """Read a body as it comes, taking room for what has come: nobody holds room for what he may send later."""
    too_large = TooLarge(f"A request has at most {max_bytes} bytes, compressed or not.")
    if (request.content_length or 0) > max_bytes:
        raise too_large
    body = bytearray()
    while part := await request.content.readany():
        if len(body) + len(part) > max_bytes:
            raise too_large
        seat.take(len(part))
        body += part
    return bytes(body)
