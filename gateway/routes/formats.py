"""The calls of senders that already exist: their requests, made durable as our events are, answered in their shape."""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable
from itertools import starmap

import msgspec
from aiohttp import hdrs, web

from gateway.access.authorization import Access
from gateway.context import GATEWAY, GRANT, PERMIT
from gateway.ingest.body import READ, is_json
from gateway.ingest.event_reader import Item
from gateway.ingest.formats import cloudevents, segment
from gateway.ingest.formats.format import Call, Format, Limits, Reply, RequestParts
from gateway.ingest.formats.registry import FORMATS
from gateway.ingest.results import Status
from gateway.openapi_parts import Json, path, query
from gateway.openapi_parts import call as openapi_call
from gateway.problems import Handler, RequestTimeout, Unavailable, problem_of, to_problem
from gateway.routes.events import identify_events, is_strict, judge_events, make_durable, traceparent_of
from gateway.routes.guard import authorize_by, identify
from schemas.ids import uuid7

Receive = Callable[[Format, web.Request], Awaitable[web.Response]]


def receiver(format: Format, receive: Receive | None = None) -> Handler:
    """Return the handler of a format's calls; `receive` is what is done with the events: by default they are stored."""

    async def handle(request: web.Request) -> web.Response:
        return await (receive or receive_as)(format, request)

    return handle


def by_content(native: Handler, receive: Receive | None = None) -> Handler:
    """Return the handler with CloudEvents recognised, by head or body; all other requests are `native`.

    `receive` says what is done with them: by default they are stored.
    """
    as_cloudevents = answering_problems(receiver(cloudevents.FORMAT, receive or receive_as), cloudevents.FORMAT)

    async def handle(request: web.Request) -> web.StreamResponse:
        return await (as_cloudevents if await _has_cloudevents(request) else native)(request)

    return handle


async def _has_cloudevents(request: web.Request) -> bool:
    """Look at a request, at its body only where that is to be JSON. Raises a Problem of 400, 408, 413, 429 or 503."""
    gateway, permit = request.app[GATEWAY], request[PERMIT]
    if cloudevents.is_named(request.headers):
        return True
    if not is_json(request.headers.get(hdrs.CONTENT_TYPE, "")):
        return False
    gateway.admission.check_rate(permit)
    body = request[READ] = await gateway.bodies.read(request, lambda size: gateway.admission.charge(permit, size))
    return await gateway.bodies.offload_if_large(len(body), lambda: cloudevents.is_in(body))


async def receive_as(format: Format, request: web.Request) -> web.Response:
    """Make the events of a request in this format durable, and answer as the format has it.

    The request has its permit, and its grant unless the key is in the body. Raises a Problem: of 503 as well where an
    event has to be sent again and the format can't say so of single events.
    """
    parts, items = await _read(format, request)
    gateway, grant = request.app[GATEWAY], request[GRANT]
    identify_events(grant.application, items, request.headers.get("Idempotency-Key"))
    answer = await make_durable(gateway, grant, items, traceparent_of(request), strict=is_strict(request))
    if not format.asks_again and any(result.status is Status.RETRY for result in answer.results):
        members = msgspec.structs.asdict(answer)
        raise Unavailable("Not every event could be made durable: send the request again.", members=members)
    return _response(format.answer(parts, answer))


async def validate_as(format: Format, request: web.Request) -> web.Response:
    """Judge the events of a request in this format by the stream's rules; nothing is stored."""
    parts, items = await _read(format, request)
    return _response(format.answer(parts, await judge_events(request, items)))


async def _read(format: Format, request: web.Request) -> tuple[RequestParts, list[Item]]:
    """Read and map the events of a request, within the limits of its sender. Raises a Problem."""
    gateway, permit = request.app[GATEWAY], request[PERMIT]
    known = GRANT in request
    if known:
        gateway.admission.check_rate(permit)
    body = await gateway.bodies.read(
        request, lambda size: gateway.admission.charge(permit, size), find_gzip=format.finds_gzip, known=known
    )
    parts = _parts(request, body)
    batch = await gateway.bodies.offload_if_large(len(body), lambda: format.read(parts), known=known)
    if not known:
        identify(request, batch.key, Access.WRITE)
        gateway.admission.check_rate(permit)
    gateway.admission.charge(permit, 0, len(batch.events))
    items = await gateway.bodies.offload_if_large(len(body), batch.items)
    gateway.admission.charge(permit, max(0, sum(len(item.value) for item in items) - len(body)))
    return parts, items


async def get_segment_settings(request: web.Request) -> web.Response:
    """Answer what Segment's browser SDK fetches first: it sends its events to this host, by the same key."""
    key = request.match_info["write_key"]
    authorize_by(request, key, Access.WRITE)
    called = request.app[GATEWAY].proxies.public_address(request)
    host, scheme = (request.host, request.scheme) if called is None else (called.host + called.prefix, called.scheme)
    body = segment.settings(key, host, scheme)
    return web.Response(body=body, content_type="application/json", headers={"Cache-Control": "no-store"})


def paths() -> Json:
    """Return the calls as the OpenAPI document has them, by the first of their paths."""
    found: Json = {
        call.paths[0]: {call.method.lower(): _described(call)} for format in FORMATS for call in format.calls
    }
    key = path("write_key", "A key of scope write.")
    key["schema"]["pattern"] = "^[A-Za-z0-9_.~-]+$"
    settings = openapi_call("Segment: the settings that a browser's SDK fetches", {"type": "object"}, [401, 403], [key])
    return found | {"/v1/projects/{write_key}/settings": {"get": settings | {"security": []}}}


def _described(call: Call) -> Json:
    summary = f"{call.summary}; the same: {', '.join(call.paths[1:])}" if call.paths[1:] else call.summary
    parameters = [query("key", "The key, where no header or body has it."), *starmap(query, call.parameters.items())]
    described = openapi_call(summary, {"type": "object"}, [400, 401, 403, 408, 413, 415, 429, 503], parameters)
    for status, found in described["responses"].items():
        if call.answers is not None and status.startswith("2"):
            found["content"] = {call.answers: {}}
        if call.refusals is not None and not status.startswith("2"):
            found["content"] = {call.refusals: {}}
    if call.example is None:
        return described
    body = {"schema": {"type": ["object", "array"]}, "example": call.example}
    return described | {"requestBody": {"required": True, "content": dict.fromkeys(call.types, body)}}


def answering_problems(handler: Handler, format: Format) -> Handler:
    """Return the handler with its problems answered as the format has them.

    That is problem+json, with a `message`, which SDKs look for beside the `code`, where the format has nothing else.
    """

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except ConnectionError:
            raise
        except Exception as error:
            if format.problem is None:
                problem = problem_of(error)
                problem.members.setdefault("message", problem.detail)
                raise problem from error
            problem = to_problem(error, request.app[GATEWAY].metrics, f"{request.method} {request.path}")
            response = _response(format.problem(request.headers, problem))
            if isinstance(problem, RequestTimeout):
                response.force_close()
            return response

    return handle


def _response(reply: Reply) -> web.Response:
    headers = {hdrs.CONTENT_TYPE: reply.content_type, **reply.headers}
    return web.Response(body=reply.body, status=reply.status, headers=headers)


def _parts(request: web.Request, body: bytes) -> RequestParts:
    settings = request.app[GATEWAY].settings
    now = time.time_ns() // 1_000_000
    return RequestParts(
        path=request.path,
        query=request.query,
        headers=request.headers,
        body=body,
        received_at=now,
        limits=Limits(settings.max_request_events, settings.max_event_bytes),
        new_id=lambda: uuid7(now, os.urandom(10)),
    )
