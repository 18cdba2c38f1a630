"""The OpenAPI 3.1 description of the gateway, with the limits of this deployment."""

from __future__ import annotations

from functools import lru_cache

import msgspec
from aiohttp import web

from gateway.context import GATEWAY
from gateway.ingest.formats import cloudevents
from gateway.openapi_parts import Json, answer, call, header, path, query, ref
from gateway.query import errors, event_trace, events, sessions
from gateway.routes import client_reports, event_stream, formats, key, schemas
from gateway.routes.docs import FILE_NAMES
from gateway.routes.examples import event_examples
from gateway.routes.json_schemas import shapes
from schemas.catalogue import Catalogue
from schemas.settings import Settings


class Description:
    """Serves the description; to a client of a trusted proxy with the address that it called."""

    def __init__(self, document: Json) -> None:
        self._document = document
        self._encoded = lru_cache(maxsize=16)(self._encode)

    async def get(self, request: web.Request) -> web.Response:
        """Return the description."""
        called = request.app[GATEWAY].proxies.public_address(request)
        return web.Response(body=self._encoded(called and called.url), content_type="application/json")

    def _encode(self, url: str | None) -> bytes:
        servers = {} if url is None else {"servers": [{"url": url}]}
        return msgspec.json.encode(self._document | servers)


def openapi(settings: Settings, catalogue: Catalogue) -> Json:
    """Return the description as a JSON document, with an example body for each event type of the catalogue."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "The Eye", "version": "1", "description": _about(settings)},
        "security": [{"bearer": []}, {"header": []}, {"basic": []}],
        "paths": _paths(settings, catalogue),
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "A key, or an access token (JWT)."},
                "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                "basic": {"type": "http", "scheme": "basic", "description": "The key as user name."},
            },
            "schemas": shapes(settings),
        },
        "x-limits": {
            "max_event_bytes": settings.max_event_bytes,
            "max_request_bytes": settings.max_request_bytes,
            "max_request_events": settings.max_request_events,
        },
    }


def _paths(settings: Settings, catalogue: Catalogue) -> Json:
    paths = _writing(settings, catalogue)
    for module in (client_reports, formats, events, event_stream, event_trace, sessions, errors, schemas, key):
        for name, calls in module.paths().items():
            paths.setdefault(name, {}).update(calls)
    return paths | _operating(settings)


def _about(settings: Settings) -> str:
    return (
        "Events in, stored events out. An answer of 2xx means durable.\n\n"
        f"Limits: an event has at most {settings.max_event_bytes} bytes; a request at most"
        f" {settings.max_request_bytes} bytes, before as well as after decompression, and"
        f" {settings.max_request_events} events."
    )


def _writing(settings: Settings, catalogue: Catalogue) -> Json:
    body_schema: Json = {"oneOf": [ref("Event"), ref("EventList"), {"type": "array", "items": ref("Event")}]}
    examples = event_examples(catalogue)
    body = {
        "required": True,
        "description": f"At most {settings.max_request_bytes} bytes and {settings.max_request_events} events.",
        "content": {
            "application/json": {"schema": body_schema, "examples": examples},
            "text/plain": {"schema": body_schema},
            "application/x-ndjson": {
                "schema": {"type": "string", "description": "One event a line."},
                "examples": _lines(examples),
            },
            **cloudevents.CONTENT,
        },
    }
    encoding = header("Content-Encoding", "How the body is compressed: gzip, deflate, zstd or br, or a list of these.")
    idempotency = header("Idempotency-Key", "1 to 128 characters: a retried request gets the same event_ids.")
    prefer = header("Prefer", "handling=strict: apply the stream's rules here already.")
    trace = header("traceparent", "W3C trace context; goes on with the events.")
    headers = [encoding, idempotency, prefer, trace]
    refused = [400, 401, 403, 408, 413, 415, 429, 503]
    post = call("Send events; /events/ is the same", "Answer", [*refused, 422], headers, status=202)
    post["responses"]["200"] = answer("CloudEvents: each is durable, or refused for good", ref("Answer"))
    check = call("Hold events against all rules; nothing is stored", "Answer", refused, [encoding, idempotency])
    return {
        "/events": {"post": post | {"requestBody": body}},
        "/events/validate": {"post": check | {"requestBody": body}},
    }


def _lines(examples: Json) -> Json:
    """Return the examples of NDJSON: all of them, an event a line."""
    lines = [msgspec.json.encode(example["value"]).decode() + "\n" for example in examples.values()]
    return {"an event of each type": {"value": "".join(lines)}} if lines else {}


def _operating(settings: Settings) -> Json:
    ready = call("Ready: events can be accepted", {"type": "object"}, [], [])
    ready["responses"]["503"] = answer("Not ready; `reasons` says why", {"type": "object"})
    file = call("A file of that page", {"type": "string"}, [404], [path("file", "As the page names it.")])
    file["parameters"][0]["schema"]["enum"] = list(FILE_NAMES)
    file["responses"]["200"]["content"] = {media: {} for media in ("text/javascript", "text/css", "image/png")}
    calls = {
        "/healthz": call("Alive", {"type": "object"}, [], []),
        "/readyz": ready,
        "/metrics": call("Metrics for Prometheus", {"type": "string"}, [], [], media="text/plain"),
        "/openapi.json": call("This document", {"type": "object"}, [], []),
        "/docs": call("A page that shows it", {"type": "string"}, [], [], media="text/html"),
        "/docs/{file}": file,
        "/eye.js": _browser_client(),
    }
    if settings.gateway_admin_port is not None:
        del calls["/metrics"]
    return {name: {"get": one | {"security": []}} for name, one in calls.items()}


def _browser_client() -> Json:
    version = query("v", "The version that is served: the answer may be kept for ever.")
    module = call("The browser client, a module", {"type": "string"}, [], [version], media="text/javascript")
    module["responses"]["304"] = {"description": "As `If-None-Match` says it is known"}
    return module
