"""Sample values of JSON Schemas, and a payload that the rules of an event type accept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from pydantic import ValidationError

from schemas.catalogue import EventType

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


class Unending(Exception):
    """A schema whose every value holds another one of its own kind."""


def example_payload(event_type: EventType) -> Any:
    """Return a payload that the rules of a type accept; None where the generated one is not accepted."""
    schema = event_type.json_schema()
    try:
        payload = sample_value(schema, schema.get("$defs", {}), "")
        event_type.check(msgspec.json.encode(payload))
    except (ValidationError, Unending):
        return None
    except Exception:  # a bug of the type's own rules, which judging reports
        return None
    return payload


def sample_value(schema: Mapping[str, Any], definitions: Mapping[str, Any], name: str) -> Any:
    """Return a value of a schema; `name` is the field's. Raises Unending."""
    if "$ref" in schema:
        target = schema["$ref"].rsplit("/", 1)[-1]
        if target not in definitions:
            raise Unending(target)
        others = {key: value for key, value in definitions.items() if key != target}
        return sample_value(definitions[target], others, name)
    for key in ("examples", "enum"):
        if schema.get(key):
            return schema[key][0]
    for key in ("const", "default"):
        if schema.get(key) is not None:
            return schema[key]
    for key in ("anyOf", "oneOf", "allOf"):
        if schema.get(key):
            return _of_first(schema[key], definitions, name)
    return _of_type(schema, definitions, name)


def _of_first(schemas: Sequence[Mapping[str, Any]], definitions: Mapping[str, Any], name: str) -> Any:
    """Return a value of the first schema that is not null and has one that ends, else null."""
    for schema in schemas:
        if schema.get("type") != "null":
            try:
                return sample_value(schema, definitions, name)
            except Unending:
                continue
    return None


def _of_type(schema: Mapping[str, Any], definitions: Mapping[str, Any], name: str) -> Any:
    match schema.get("type"):
        case "string":
            return _text(schema, name)
        case "integer" | "number":
            return _number(schema)
        case "boolean":
            return True
        case "array" if "prefixItems" in schema:
            return [sample_value(item, definitions, name) for item in schema["prefixItems"]]
        case "array":
            try:
                return [sample_value(schema.get("items", {}), definitions, name)] * max(1, schema.get("minItems", 1))
            except Unending:
                return []
        case "object" if "properties" in schema:
            required = schema.get("required", [])
            return {field: sample_value(schema["properties"][field], definitions, field) for field in required}
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
