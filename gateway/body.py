"""The body of a request with events: what it may be, read and decompressed within its limits."""

from __future__ import annotations

from aiohttp import web

from gateway.compression import decompress
from gateway.intake import Intake, Reader
from gateway.problems import TooLarge, Unsupported

JSON_TYPES = ("application/json", "text/plain", "application/octet-stream", "")
"""Content types of one JSON document; text/plain is what a browser's sendBeacon says, the last two say nothing."""

NDJSON_TYPES = ("application/x-ndjson", "application/ndjson")
"""Content types of one event a line."""


async def read_events(request: web.Request, reader: Reader, max_bytes: int) -> Intake:
    """Read the events of a request. Raises a Problem of 400, 413 or 415."""
    content_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if content_type not in JSON_TYPES and content_type not in NDJSON_TYPES:
        raise Unsupported("Content-Type is application/json, or application/x-ndjson for one event a line.")
    if (request.content_length or 0) > max_bytes:
        raise TooLarge(f"A request has at most {max_bytes} bytes, compressed or not.")
    body = await request.read()  # bounded by the application's client_max_size
    body = decompress(body, request.headers.get("Content-Encoding", ""), max_bytes)
    return reader.read_lines(body) if content_type in NDJSON_TYPES else reader.read(body)
