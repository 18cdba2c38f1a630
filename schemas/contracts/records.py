"""JSON Schemas of what the four topics hold: headers, and values beside the payloads of event types."""

from __future__ import annotations

from typing import Any

import msgspec

from schemas.event import EventId, Text
from schemas.session import SessionSummary
from schemas.verdict import Accepted, Rejected

Json = dict[str, Any]

_TIME = {"type": "string", "format": "date-time"}
_TIMES = ("occurred_at", "received_at", "timestamp_sent", "started_at", "ended_at", "updated_at")
_MILLIS = "Milliseconds since 1970, as text."


class SentRecord(msgspec.Struct):
    """The value of an `events.raw` record: an event's JSON, byte for byte as sent; it may be anything at all."""

    session_id: Text
    category: Text
    name: Text
    timestamp: str
    data: dict[str, Any]
    event_id: EventId | None = None
    schema_version: int | None = None
    user_id: Text | None = None
    context: dict[str, Any] | None = None
    sent_at: str | None = None


def record_schemas() -> dict[str, Json]:
    """Return the schemas by name, as components that refer to each other."""
    kinds = (SentRecord, Accepted, Rejected, SessionSummary)
    _, found = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    for schema in found.values():
        if "description" in schema:
            schema["description"] = " ".join(schema["description"].split())
        for name, field in schema.get("properties", {}).items():
            if name in _TIMES:
                schema["properties"][name] = {"anyOf": [_TIME, {"type": "null"}]} if "anyOf" in field else dict(_TIME)
    for name in ("data", "context"):
        found["Accepted"]["properties"][name] = {"type": "object"}
    return found


def _headers(required: tuple[str, ...], **properties: str) -> Json:
    described = {name: {"type": "string", "description": text} for name, text in properties.items()}
    return {"type": "object", "properties": described, "required": list(required)}


_RAW = {
    "event_id": "The event's id: as sent, or made by the gateway.",
    "application": "The application whose key sent it.",
    "received_at": f"When the gateway received it. {_MILLIS}",
    "traceparent": "The W3C trace context of its request.",
}
_SAID = {
    "sent_at": f"When its request was sent, by the sender's clock, where it said so. {_MILLIS}",
    "unknown_event_types": "accept or reject, where the application states what becomes of unknown types.",
}
_SOURCE = {"source": "The raw record: topic:partition:offset."}
_AGAIN = {
    "replay": "The run that published it again: it replaces what was published of the same source before.",
    "redrive": "The run that mended it.",
}
_TYPE = {
    "category": "The type's category.",
    "name": "The type's name.",
    "schema_version": "The version that judged it.",
}

HEADERS: dict[str, Json] = {
    "events.raw": _headers(tuple(_RAW), **_RAW, **_SAID),
    "events.validated": _headers((*_RAW, *_TYPE, "source"), **_RAW, **_SAID, **_TYPE, **_SOURCE, **_AGAIN),
    "events.rejected": _headers((*_RAW, "source", "codes"), **_RAW, **_SAID, **_SOURCE, codes="Codes, each once."),
    "sessions": _headers(("revision",), revision="The summary's revision; the greatest of a key counts."),
}
"""The headers of each topic's records, by its name without a prefix."""
