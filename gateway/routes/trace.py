"""GET /events/{event_id}/trace: the steps of an event, each with its time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import msgspec
from aiohttp import web
from aiokafka.errors import KafkaError

from gateway.context import GATEWAY
from gateway.problems import NotFound, Unavailable
from gateway.query.event_trace import DEFAULT_SINCE, TRACE_PARAMETERS, Traces, trace_event
from gateway.query.kafka_reader import Budget, KafkaReader
from gateway.query.parameters import read_parameters
from gateway.routes.guard import only_application

READ_SECONDS = 3.0
"""Longest time that a trace may read in Kafka."""

READ_BYTES = 32 * 1024 * 1024
"""Most bytes that it may read there."""

_ANSWER_SECONDS = 8.0
_AT_ONCE = 2

_encode = msgspec.json.Encoder().encode


class Tracing:
    """The traces of one gateway: few at once, since each reads in Kafka on a connection of its own."""

    def __init__(self) -> None:
        self._turn = asyncio.Semaphore(_AT_ONCE)

    async def trace(self, request: web.Request, event_id: str, since: datetime) -> Traces:
        """Find an event. Raises Unavailable while Kafka or Postgres is away, or too slow."""
        gateway = request.app[GATEWAY]
        try:
            async with (
                asyncio.timeout(_ANSWER_SECONDS),
                self._turn,
                KafkaReader(gateway.settings, Budget(READ_SECONDS, READ_BYTES), gateway.publisher.guard) as kafka,
            ):
                return await trace_event(
                    gateway.settings, gateway.database, kafka, event_id, gateway.keys.applications, since
                )
        except (KafkaError, TimeoutError) as error:
            raise Unavailable(f"Kafka can't be read: {str(error) or 'no answer in time'}.") from None


TRACING = web.AppKey("tracing", Tracing)


async def get_trace(request: web.Request) -> web.Response:
    """Return the steps of an event, of each application that used its id."""
    given = read_parameters(request, TRACE_PARAMETERS)
    event_id = request.match_info["event_id"]
    since = given.get("since", datetime.now(UTC) - DEFAULT_SINCE)
    if "\0" in event_id:
        raise NotFound("U+0000 is in no stored text.")
    traces = await request.app[TRACING].trace(request, event_id, since)
    if (only := only_application(request)) is not None:
        traces.traces = [trace for trace in traces.traces if trace.application == only]
    if not traces.traces:
        more = "" if traces.complete else "; there was more to read than a request may"
        raise NotFound(f"No event {event_id} is stored, or among the records since {since:%Y-%m-%d %H:%M:%S}Z{more}.")
    return web.Response(body=_encode(traces), content_type="application/json")
