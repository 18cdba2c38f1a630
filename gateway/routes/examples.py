"""Example bodies for the OpenAPI document, made from the rules of each event type."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from pydantic import ValidationError

from schemas.catalogue import EventType

Json = dict[str, Any]

_TEXTS = {
    "date": "2021-01-01",
    "date-time": "2021-01-01T09:15:27Z",
    "time": "09:15:27Z",
    "duration": "PT1M",
    "email": "somebody@example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://www.example.com/",
    "uuid": "e2085be5-9137-4e4e-80b5-f1ffddc25423",
}
"""A text of each format of JSON Schema."""

_NAMED = {"host": "www.example.com", "path": "/", "url": "https://www.example.com/", "email": "somebody@example.com"}
"""Texts of fields that mean the same everywhere."""


def event_examples(event_types: Iterable[EventType]) -> dict[str, Json]:
    """Return an example of each event type, by category and name, as OpenAPI's `examples` holds them.

    Of several versions the newest counts, and its event names it. A type whose rules no generated payload keeps has no
    example.
    """
    listed = list(event_types)
    newest = {(known.category, known.name): known for known in listed}  # sorted by version
    oldest = {(known.category, known.name): known for known in reversed(listed)}
    found: dict[str, Json] = {}
    for (category, name), known in newest.items():
        payload = example_payload(known)
        if payload is not None:
            named = {} if known is oldest[category, name] else {"schema_version": known.version}
            value = _event(known, payload) | named
            found[f"{category} / {name}"] = {"summary": f"{category} / {name}", "value": value}
    return found


def example_payload(event_type: EventType) -> Any:
    """Return a payload that the rules of a type accept; None where the generated one is not accepted."""
    schema = event_type.json_schema()
    payload = _value(schema, schema.get("$defs", {}), "")
    try:
        event_type.check(msgspec.json.encode(payload))
    except ValidationError:
        return None
    except Exception:  # a bug of the type's own rules, which judging reports
        return None
    return payload


def _event(event_type: EventType, payload: Any) -> Json:
    return {
        "session_id": "e2085be5-9137-4e4e-80b5-f1ffddc25423",
        "category": event_type.category,
        "name": event_type.name,
        "timestamp": "2021-01-01 09:15:27.243860",
        "data": payload,
    }


def _value(schema: Mapping[str, Any], definitions: Mapping[str, Any], name: str) -> Any:
    """Return a value of a schema; `name` is the field's."""
    if "$ref" in schema:
        return _value(definitions[schema["$ref"].rsplit("/", 1)[-1]], definitions, name)
    for key in ("examples", "enum"):
        if schema.get(key):
            return schema[key][0]
    for key in ("const", "default"):
        if schema.get(key) is not None:
            return schema[key]
    for key in ("anyOf", "oneOf", "allOf"):
        if schema.get(key):
            return _value(next((s for s in schema[key] if s.get("type") != "null"), {}), definitions, name)
    return _of_type(schema, definitions, name)


def _of_type(schema: Mapping[str, Any], definitions: Mapping[str, Any], name: str) -> Any:
    match schema.get("type"):
        case "string":
            return _text(schema, name)
        case "integer" | "number":
            return _number(schema)
        case "boolean":
            return True
        case "array":
            return [_value(schema.get("items", {}), definitions, name)] * max(1, schema.get("minItems", 1))
        case "object" if "properties" in schema:
            required = schema.get("required", [])
            return {field: _value(schema["properties"][field], definitions, field) for field in required}
        case "null":
            return None
        case "object":
            return {"field": "value"} if schema.get("additionalProperties", True) is True else {}
    return "value"


def _text(schema: Mapping[str, Any], name: str) -> str:
    text = _TEXTS.get(schema.get("format", "")) or _NAMED.get(name) or name or "text"
    text = text.ljust(schema.get("minLength", 0), "x")
    return text[: schema["maxLength"]] if "maxLength" in schema else text


def _number(schema: Mapping[str, Any]) -> float | int:
    """Return a number within the bounds; between two exclusive ones, their middle."""
    low, high = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    step = schema.get("multipleOf", 1)
    for bound in ("minimum", "maximum"):
        if bound in schema:
            return _as_number(schema[bound])
    if low is not None and high is not None and low + step >= high:
        return _as_number((low + high) / 2)
    if low is not None:
        return _as_number(low + step)
    return _as_number(step if high is None else min(step, high - step))


def _as_number(value: Any) -> float | int:
    return int(value) if float(value).is_integer() else float(value)
