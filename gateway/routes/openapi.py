"""The OpenAPI 3.1 description of the gateway, with the limits of this deployment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from gateway.query.parameters import DEFAULT_LIMIT, MAX_LIMIT
from gateway.routes.client_reports import MAX_REASONS
from gateway.routes.docs import FILE_NAMES
from gateway.routes.examples import event_examples
from gateway.routes.json_schemas import shapes
from schemas.catalogue import Catalogue
from schemas.session import SessionStatus
from schemas.settings import Settings
from schemas.verdict import Code

Json = dict[str, Any]


def openapi(settings: Settings, catalogue: Catalogue) -> Json:
    """Return the description as a JSON document, with an example body for each event type of the catalogue."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "The Eye", "version": "1", "description": _about(settings)},
        "security": [{"bearer": []}, {"header": []}, {"basic": []}],
        "paths": _writing(settings, catalogue) | _reading() | _catalogue() | _operating(),
        "components": {
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
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


def _about(settings: Settings) -> str:
    return (
        "Events in, stored events out. An answer of 2xx means durable.\n\n"
        f"Limits: an event has at most {settings.max_event_bytes} bytes; a request at most"
        f" {settings.max_request_bytes} bytes, before as well as after decompression, and"
        f" {settings.max_request_events} events."
    )


def _writing(settings: Settings, catalogue: Catalogue) -> Json:
    events: Json = {"oneOf": [_ref("Event"), _ref("EventList"), {"type": "array", "items": _ref("Event")}]}
    examples = event_examples(catalogue)
    body = {
        "required": True,
        "description": f"At most {settings.max_request_bytes} bytes and {settings.max_request_events} events.",
        "content": {
            "application/json": {"schema": events, "examples": examples},
            "text/plain": {"schema": events},
            "application/x-ndjson": {
                "schema": {"type": "string", "description": "One event a line."},
                "examples": _lines(examples),
            },
        },
    }
    encoding = _header("Content-Encoding", "How the body is compressed: gzip, deflate, zstd or br, or a list of these.")
    idempotency = _header("Idempotency-Key", "1 to 128 characters: a retried request gets the same event_ids.")
    prefer = _header("Prefer", "handling=strict: apply the stream's rules here already.")
    trace = _header("traceparent", "W3C trace context; goes on with the events.")
    headers = [encoding, idempotency, prefer, trace]
    refused = [400, 401, 403, 408, 413, 415, 429, 503]
    post = _call("Send events; /events/ is the same", "Answer", [*refused, 422], headers, status=202)
    check = _call("Hold events against all rules; nothing is stored", "Answer", refused, [encoding, idempotency])
    return {
        "/events": {"post": post | {"requestBody": body}, "get": _events_call()},
        "/events/validate": {"post": check | {"requestBody": body}},
        "/client-reports": {"post": _report_call()},
    }


def _report_call() -> Json:
    """Return the call by which a client says how many events it dropped."""
    counts = {"type": "object", "additionalProperties": {"type": "integer", "minimum": 0}, "maxProperties": MAX_REASONS}
    schema: Json = {"type": "object", "properties": {"dropped": counts}, "required": ["dropped"]}
    example = {"dropped": {"queue_full": 12}}
    summary = "Say how many events a client dropped before it could send them, by reason; they are counted in a metric"
    refused = [400, 401, 403, 408, 413, 415, 429, 503]
    call = _call(summary, {}, refused, [], status=204)
    del call["responses"]["204"]["content"]
    body = {"required": True, "content": {"application/json": {"schema": schema, "example": example}}}
    return call | {"requestBody": body}


def _lines(examples: Json) -> Json:
    """Return the examples of NDJSON: all of them, an event a line."""
    lines = [msgspec.json.encode(example["value"]).decode() + "\n" for example in examples.values()]
    return {"an event of each type": {"value": "".join(lines)}} if lines else {}


def _events_call() -> Json:
    parameters = [
        _query("session_id", "Events of this session."),
        _query("user_id", "Events of this user."),
        _query("event_id", "Events with this id, as sent; one that is no UUID is one of the caller's own application."),
        *_type_and_time("occurred_at"),
        *_paging(),
    ]
    return _call("Stored events, by occurred_at, then event_id", "Events", [400, 401, 403, 503], parameters)


def _reading() -> Json:
    refused = [400, 401, 403, 503]
    session_id, event_id = _path("session_id", "A session."), _path("event_id", "The event's id, as sent.")
    status = _query("status", "Only these.", enum=[status.value for status in SessionStatus])
    code = _query("code", "Events with this code.", enum=[code.value for code in Code])
    events = [session_id, *_type_and_time("occurred_at"), *_paging()]
    errors = [code, *_type_and_time("received_at"), *_paging()]
    sessions = [status, *_time("started_at"), *_paging()]
    either = {"oneOf": [_ref("StoredEvent"), _ref("RejectedEvent")]}
    summary = _call("Counts by code and event type", "Counts", refused, _type_and_time("received_at"))
    return {
        "/events/{event_id}": {"get": _call("One event, stored or rejected", either, [*refused, 404], [event_id])},
        "/events/{event_id}/trace": {"get": _trace_call(event_id)},
        "/sessions": {"get": _call("Sessions, by started_at", "Sessions", refused, sessions)},
        "/sessions/{session_id}": {"get": _call("A session's summary", "Session", [*refused, 404], [session_id])},
        "/sessions/{session_id}/events": {"get": _call("A session's events in order", "Events", refused, events)},
        "/errors": {"get": _call("Rejected events, by received_at", "Errors", refused, errors)},
        "/errors/summary": {"get": summary},
    }


def _trace_call(event_id: Json) -> Json:
    since = _query("since", "How far back to look for what has no row; default: ten minutes.", format="date-time")
    problems = [400, 401, 403, 404, 503]
    return _call("What became of an event, step by step, with each step's time", "Traces", problems, [event_id, since])


def _catalogue() -> Json:
    type_of = [_path("category", "As in GET /schemas, percent-encoded."), _path("name", "Likewise.")]
    version = _query("version", "An older version than the latest.", type="integer")
    refused = [400, 401, 404, 503]
    one = _call("JSON Schema (2020-12) of an event type's data", {"type": "object"}, refused, [*type_of, version])
    one["responses"]["200"]["content"] = {"application/schema+json": {"schema": {"type": "object"}}}
    return {
        "/schemas": {"get": _call("The catalogue of event types", "Catalogue", [400, 401, 503], [])},
        "/schemas/{category}/{name}": {"get": one},
    }


def _operating() -> Json:
    ready = _call("Ready: events can be accepted", {"type": "object"}, [], [])
    ready["responses"]["503"] = _answer("Not ready; `reasons` says why", {"type": "object"})
    file = _call("A file of that page", {"type": "string"}, [404], [_path("file", "As the page names it.")])
    file["parameters"][0]["schema"]["enum"] = list(FILE_NAMES)
    file["responses"]["200"]["content"] = {media: {} for media in ("text/javascript", "text/css", "image/png")}
    calls = {
        "/healthz": _call("Alive", {"type": "object"}, [], []),
        "/readyz": ready,
        "/metrics": _call("Metrics for Prometheus", {"type": "string"}, [], [], media="text/plain"),
        "/openapi.json": _call("This document", {"type": "object"}, [], []),
        "/docs": _call("A page that shows it", {"type": "string"}, [], [], media="text/html"),
        "/docs/{file}": file,
        "/eye.js": _browser_client(),
    }
    return {path: {"get": call | {"security": []}} for path, call in calls.items()}


def _browser_client() -> Json:
    version = _query("v", "The version that is served: the answer may be kept for ever.")
    call = _call("The browser client, a module", {"type": "string"}, [], [version], media="text/javascript")
    call["responses"]["304"] = {"description": "As `If-None-Match` says it is known"}
    return call


_PROBLEMS = {
    400: "Not JSON, broken compression, or a bad parameter",
    401: "No key, or an unknown one",
    403: "The key lacks the scope",
    404: "Nothing by that name (yet)",
    408: "The body came too slowly; the connection is closed",
    413: "Too large, or too many events",
    415: "A content type or encoding that is not understood",
    422: "No event of the request was acceptable; `results` says why",
    429: "More events than the application, or the key, may send: again after `Retry-After` seconds",
    503: "Not now: send it again after `Retry-After` seconds",
}


def _call(
    summary: str,
    schema: str | Json,
    problems: Sequence[int],
    parameters: Sequence[Json],
    *,
    status: int = 200,
    media: str = "application/json",
) -> Json:
    answer = _answer("As asked", _ref(schema) if isinstance(schema, str) else schema, media)
    refusals = {str(number): _refusal(number) for number in problems}
    return {"summary": summary, "parameters": list(parameters), "responses": {str(status): answer} | refusals}


def _refusal(status: int) -> Json:
    answer = _answer(_PROBLEMS[status], _ref("Problem"), "application/problem+json")
    if status in (429, 503):
        answer["headers"] = {"Retry-After": {"schema": {"type": "integer"}, "description": "In seconds."}}
    return answer


def _answer(description: str, schema: Json, media: str = "application/json") -> Json:
    return {"description": description, "content": {media: {"schema": schema}}}


def _query(name: str, description: str, **schema: Any) -> Json:
    return {"name": name, "in": "query", "description": description, "schema": {"type": "string"} | schema}


def _header(name: str, description: str, **schema: Any) -> Json:
    return {"name": name, "in": "header", "description": description, "schema": {"type": "string"} | schema}


def _path(name: str, description: str) -> Json:
    schema = {"type": "string"}
    return {"name": name, "in": "path", "required": True, "description": description, "schema": schema}


def _type_and_time(moment: str) -> list[Json]:
    return [_query("category", "Of this category."), _query("name", "Of this name."), *_time(moment)]


def _time(moment: str) -> list[Json]:
    start = _query("from", f"Where {moment} is at or after this time.", format="date-time")
    return [start, _query("to", f"Where {moment} is before this time.", format="date-time")]


def _paging() -> list[Json]:
    size = {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}
    return [_query("limit", "Most items of a page.", **size), _query("cursor", "`next` of the page before.")]


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}
