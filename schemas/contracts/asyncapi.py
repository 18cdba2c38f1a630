"""The topics as an AsyncAPI 3.0 document: channels, keys, headers, values and examples."""

from __future__ import annotations

import json
from typing import Any

from schemas.catalogue import Catalogue, EventType
from schemas.contracts.json_schemas import key_of
from schemas.contracts.records import HEADERS, record_schemas
from schemas.contracts.samples import example_payload
from schemas.settings import Settings
from schemas.topics import TopicSpec, topic_specs

Json = dict[str, Any]

_TOPICS = {
    "events.raw": ("SentRecord", "Events as they were sent, in the order of their partition.", "receive"),
    "events.validated": ("Accepted", "Events that keep every rule, each once, in their session's order.", "send"),
    "events.rejected": ("Rejected", "Events that break a rule, each with every reason.", "send"),
    "sessions": ("SessionSummary", "The summary of each session; the greatest revision of a key counts.", "send"),
}
_SENT = {
    "session_id": "e2085be5-9137-4e4e-80b5-f1ffddc25423",
    "timestamp": "2021-01-01 09:15:27.243860",
}


def asyncapi(catalogue: Catalogue, settings: Settings) -> Json:
    """Return the document of the four topics; `events.validated` has a message for each version of a type."""
    channels, operations = {}, {}
    for (name, (value, text, action)), spec in zip(_TOPICS.items(), topic_specs(settings), strict=True):
        messages = _validated(catalogue) if value == "Accepted" else {name: _message(name, _ref(value), text)}
        if value == "SentRecord":
            messages[name]["examples"] = [{"payload": _sent(known)} for known in catalogue if _sent(known)]
        channels[name] = _channel(spec, text, messages)
        operations[name] = {"action": action, "channel": {"$ref": f"#/channels/{name}"}, "summary": text}
    schemas = record_schemas()
    for known in catalogue:
        schemas |= _payload_schemas(known)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "The Eye",
            "version": "1.0.0",
            "description": "Read events.validated, events.rejected and sessions with isolation.level=read_committed.",
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"schemas": schemas},
    }


def _channel(spec: TopicSpec, text: str, messages: Json) -> Json:
    stated = {name: value for name, value in spec.config.items() if name in ("cleanup.policy", "retention.ms")}
    config = {name: [value] if name == "cleanup.policy" else int(value) for name, value in stated.items()}
    kafka = {"topic": spec.name, "partitions": spec.partitions, "topicConfiguration": config}
    return {
        "address": spec.name,
        "description": text,
        "messages": messages,
        "bindings": {"kafka": kafka | {"bindingVersion": "0.5.0"}},
    }


def _message(topic: str, payload: Json, text: str, **more: Any) -> Json:
    key = {"type": "string", "description": "The session_id; of a rejected event without one the key is null."}
    return {
        "title": text,
        "contentType": "application/json",
        "headers": HEADERS[topic],
        "payload": payload,
        "bindings": {"kafka": {"key": key, "bindingVersion": "0.5.0"}},
        **more,
    }


def _validated(catalogue: Catalogue) -> Json:
    return {key_of(known): _accepted(known) for known in catalogue}


def _accepted(known: EventType) -> Json:
    """Return the message of accepted events of one version of a type."""
    named = {"category": known.category, "name": known.name, "schema_version": known.version}
    properties: Json = {name: {"const": value} for name, value in named.items()}
    payload = {"allOf": [_ref("Accepted"), {"properties": properties | {"data": _ref(key_of(known))}}]}
    title = f"{known.category} / {known.name}, version {known.version}"
    schema = known.json_schema()
    more: Json = {name: schema[name] for name in ("x-owner", "x-deprecation") if name in schema}
    if schema.get("deprecated"):
        more["tags"] = [{"name": "deprecated"}]
    data = example_payload(known)
    if data is not None:
        more["examples"] = [{"name": "event", "payload": _envelope() | named | {"data": data}}]
    return _message("events.validated", payload, title, summary=schema.get("description", title), **more)


def _envelope() -> Json:
    return {
        "event_id": "1b1325e1-e356-45d4-8346-d52ae6b0d0bb",
        "application": "shop",
        "session_id": _SENT["session_id"],
        "occurred_at": "2021-01-01T09:15:27.243860Z",
        "received_at": "2021-01-01T09:15:28.102000Z",
    }


def _sent(known: EventType) -> Json | None:
    data = example_payload(known)
    named = {"category": known.category, "name": known.name, "schema_version": known.version}
    return None if data is None else {**_SENT, **named, "data": data}


def _payload_schemas(known: EventType) -> dict[str, Json]:
    """Return a payload's schema and its definitions as components of the document."""
    key = key_of(known)
    moved = json.loads(json.dumps(known.json_schema()).replace('"#/$defs/', f'"#/components/schemas/{key}.'))
    definitions = moved.pop("$defs", {})
    del moved["$schema"]
    return {key: moved} | {f"{key}.{name}": schema for name, schema in definitions.items()}


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}
