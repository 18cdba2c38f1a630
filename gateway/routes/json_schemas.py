"""The shapes of bodies and answers, as JSON Schema for the OpenAPI document."""

from __future__ import annotations

import msgspec

from gateway.ingest.results import Answer
from gateway.openapi_parts import Json, ref
from gateway.problems import ProblemCode
from gateway.query.errors import Count, RejectedEvent
from gateway.query.event_trace import Traces
from gateway.query.events import StoredEvent
from gateway.query.sessions import Session
from schemas.event import MAX_TEXT, REQUIRED_FIELDS
from schemas.settings import Settings
from schemas.verdict import Violation

_CLOCKS = "Where it is off, timestamps are corrected: by one offset a session, that of its first event."


def shapes(settings: Settings) -> Json:
    """Return every shape by its name."""
    (_, read) = msgspec.json.schema_components(
        [Answer, StoredEvent, RejectedEvent, Session, Count, Traces, Violation],
        ref_template="#/components/schemas/{name}",
    )
    return read | _sent(settings) | _answered()


def _sent(settings: Settings) -> Json:
    text = {"type": "string", "minLength": 1, "maxLength": MAX_TEXT}
    event = {
        "type": "object",
        "description": f"At most {settings.max_event_bytes} bytes as JSON.",
        "required": list(REQUIRED_FIELDS),
        "additionalProperties": False,
        "properties": {
            "session_id": text,
            "category": text,
            "name": text,
            "timestamp": {"type": "string", "description": "ISO 8601, T or space; without an offset it is UTC."},
            "data": {"type": "object", "description": "By the rules of the event type: GET /schemas."},
            "event_id": {"anyOf": [text, {"type": "null"}], "description": "Idempotency key; given when absent."},
            "schema_version": {"type": ["integer", "null"], "description": "The latest when absent."},
            "user_id": {"anyOf": [text, {"type": "null"}], "description": "The user that the event is about."},
            "context": {
                "type": ["object", "null"],
                "description": "Sent beside the payload; no rule judges it.",
            },
            "sent_at": {
                "type": ["string", "null"],
                "description": f"The sender's clock when it sent, as timestamp; counts before the list's. {_CLOCKS}",
            },
        },
        "examples": [
            {
                "session_id": "e2085be5-9137-4e4e-80b5-f1ffddc25423",
                "category": "page interaction",
                "name": "pageview",
                "timestamp": "2021-01-01 09:15:27.243860",
                "data": {"host": "www.example.com", "path": "/"},
            }
        ],
    }
    events = {"type": "array", "maxItems": settings.max_request_events, "items": ref("Event")}
    sent_at = {"type": ["string", "null"], "description": f"The sender's clock when it sent, as timestamp. {_CLOCKS}"}
    properties = {"events": events, "sent_at": sent_at}
    return {"Event": event, "EventList": {"type": "object", "required": ["events"], "properties": properties}}


def _answered() -> Json:
    problem = {
        "type": "object",
        "description": "RFC 9457. A refused request with events has the members of Answer as well.",
        "properties": {
            "type": {"type": "string"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "code": {"type": "string", "enum": [code.value for code in ProblemCode]},
        },
    }
    event_type = {
        "type": "object",
        "properties": {
            "category": {"type": "string"},
            "name": {"type": "string"},
            "version": {"type": "integer", "description": "The latest."},
            "versions": {"type": "array", "items": {"type": "integer"}},
            "default_version": {"type": "integer", "description": "Judges events that name no schema_version."},
            "href": {"type": "string"},
        },
    }
    return {
        "Problem": problem,
        "Events": _page("events", "StoredEvent"),
        "Errors": _page("errors", "RejectedEvent"),
        "Sessions": _page("sessions", "Session"),
        "Counts": {"type": "object", "properties": {"counts": {"type": "array", "items": ref("Count")}}},
        "Catalogue": {"type": "object", "properties": {"schemas": {"type": "array", "items": event_type}}},
    }


def _page(member: str, shape: str) -> Json:
    following = {"type": ["string", "null"], "description": "Cursor of the next page; null on the last one."}
    return {"type": "object", "properties": {member: {"type": "array", "items": ref(shape)}, "next": following}}
