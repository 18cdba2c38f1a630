"""Answers with listings: a page as JSON, or all items as NDJSON or CSV, written while they are read."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import msgspec
from aiohttp import hdrs, web

from gateway.context import GATEWAY
from gateway.problems import Overloaded
from gateway.query.listing import EXPORT_TYPES, Listing
from gateway.query.parameters import FORMAT

log = logging.getLogger(__name__)

MAX_EXPORTS = 8
"""Answers of this kind that one process writes at once; each costs queries while its client reads."""

EXPORTS = web.AppKey("exports", list[int])
"""The number of exports under way, in a list of one."""

_encode = msgspec.json.Encoder().encode


async def answer_listing(request: web.Request, listing: Listing, given: Mapping[str, Any]) -> web.StreamResponse:
    """Answer with a listing in the format that the request asks for. Raises BadRequest, Unavailable or Overloaded."""
    wanted = given.get(FORMAT.name) or _accepted(request)
    database = request.app[GATEWAY].database
    if wanted == "json":
        return web.Response(body=_encode(await listing.page(database, given)), content_type="application/json")
    under_way = request.app[EXPORTS]
    if under_way[0] >= MAX_EXPORTS:
        raise Overloaded(f"{MAX_EXPORTS} exports are under way: ask again.")
    under_way[0] += 1
    try:
        return await _export(request, wanted, listing.members(given), listing.pages(database, given))
    finally:
        under_way[0] -= 1


async def _export(
    request: web.Request, wanted: str, names: Sequence[str], pages: AsyncIterator[Sequence[Any]]
) -> web.StreamResponse:
    first = await anext(pages)
    response = web.StreamResponse(headers={hdrs.CONTENT_TYPE: EXPORT_TYPES[wanted]})
    await response.prepare(request)
    if request.method == hdrs.METH_HEAD:
        return response
    try:
        if wanted == "csv":
            await response.write(_csv_lines([dict(zip(names, names, strict=True))], names))
        page: Sequence[Any] | None = first
        while page is not None:
            if page:
                await response.write(_csv_lines(page, names) if wanted == "csv" else _json_lines(page))
            if request.app[GATEWAY].clients.closing:
                raise ConnectionAbortedError("the gateway stops")
            page = await anext(pages, None)
        await response.write_eof()
    except Exception as error:
        # the client must not take a part for the whole: no end is written
        log.warning("an export broke off: %s", error)
        if request.transport is not None:
            request.transport.abort()
    return response


def _accepted(request: web.Request) -> str:
    """Return the format that the header Accept asks for; JSON unless it names another one alone."""
    accept = request.headers.get(hdrs.ACCEPT, "").partition(";")[0].strip().lower()
    return next((name for name, media_type in EXPORT_TYPES.items() if accept == media_type), "json")


def _json_lines(items: Sequence[Any]) -> bytes:
    return b"\n".join(map(_encode, items)) + b"\n"


def _csv_lines(items: Sequence[Any], names: Sequence[str]) -> bytes:
    """Return items as lines of RFC 4180, in UTF-8."""
    lines = io.StringIO()
    writer = csv.writer(lines)
    for item in items:
        values = item if isinstance(item, dict) else {name: getattr(item, name) for name in names}
        writer.writerow([_cell(values[name]) for name in names])
    return lines.getvalue().encode()


def _cell(value: Any) -> str:
    """Return a value as CSV has it: text as it is, nothing for null, anything else as JSON has it."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    json = _encode(value)
    if json.startswith(b'"'):
        return str(msgspec.json.decode(json))
    return json.decode()
