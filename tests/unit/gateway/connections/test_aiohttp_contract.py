"""The internals of aiohttp that the gateway's connections use: a new minor version of it has to keep each of them."""

from __future__ import annotations

import inspect
from importlib.metadata import version
from typing import Any

import aiohttp
from aiohttp import StreamReader, web
from aiohttp.helpers import rfc822_formatted_time
from aiohttp.http_parser import HttpRequestParser, RawRequestMessage

from gateway.connections.client_connections import ClientConnection
from tests.unit.gateway.connections.one_connection import Door

HANDLER_ATTRIBUTES = (
    "_buffer_paused",
    "_keepalive_timeout",
    "_loop",
    "_max_msg_queue_size",
    "_messages",
    "_msg_queue_resume_size",
    "_next_keepalive_close_time",
    "_parser",
    "_paused",
    "_read_bufsize",
    "_reading_paused",
    "_waiter",
    "max_field_size",
    "max_headers",
    "max_line_size",
    "ssl_context",
)
HANDLER_METHODS = (
    "_pause_transport_reading",
    "_resume_transport_reading",
    "connection_lost",
    "connection_made",
    "data_received",
    "eof_received",
    "force_close",
    "handle_error",
    "pause_writing",
    "resume_writing",
)
HANDLER_OPTIONS = ("access_log", "auto_decompress", "keepalive_timeout", "lingering_time", "read_bufsize")
MESSAGE_FIELDS = ("chunked", "headers", "method", "path", "should_close", "upgrade", "version")


async def test_every_internal_of_aiohttp_that_is_used_exists(door: Door) -> None:
    connection: Any = door.connection
    assert version("aiohttp").startswith("3.14.")
    assert [name for name in HANDLER_ATTRIBUTES if not hasattr(connection, name)] == []
    assert [name for name in HANDLER_METHODS if not callable(getattr(web.RequestHandler, name, None))] == []
    assert set(HANDLER_OPTIONS) <= set(inspect.signature(web.RequestHandler.__init__).parameters)
    assert [name for name in MESSAGE_FIELDS if not hasattr(RawRequestMessage, name)] == []
    assert [name for name in ("feed_data", "message_consumed") if not hasattr(HttpRequestParser, name)] == []
    assert hasattr(StreamReader(connection, 1, loop=connection._loop), "_buffer")
    assert isinstance(aiohttp.EMPTY_PAYLOAD, StreamReader) or aiohttp.EMPTY_PAYLOAD.is_eof()
    assert rfc822_formatted_time().endswith(" GMT")
    assert issubclass(ClientConnection, web.RequestHandler)
