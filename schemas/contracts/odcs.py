"""Topics, tables and payloads as a contract of the Open Data Contract Standard 3."""

from __future__ import annotations

from typing import Any

from schemas.catalogue import Catalogue, EventType
from schemas.contracts.json_schemas import key_of
from schemas.contracts.records import record_schemas
from schemas.contracts.tables import TABLES, Column
from schemas.settings import Settings
from schemas.topics import topic_names

Json = dict[str, Any]

_LOGICAL = {
    "uuid": "string",
    "text": "string",
    "text[]": "array",
    "jsonb": "object",
    "timestamp with time zone": "timestamp",
    "integer": "integer",
    "bigint": "integer",
    "boolean": "boolean",
}
_KEYS = {
    "events": ("event_id", "application"),
    "rejected_events": ("event_id", "application"),
    "sessions": ("session_id",),
}


def data_contract(catalogue: Catalogue, settings: Settings) -> Json:
    """Return the contract of a deployment: its topics, its tables, and the payload of each version of an event type."""
    names, records = topic_names(settings), record_schemas()
    topics = {names.validated: "Accepted", names.rejected: "Rejected", names.sessions: "SessionSummary"}
    return {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": "the-eye",
        "name": "The Eye",
        "version": "1.0.0",
        "status": "active",
        "description": {
            "purpose": "What users do in web applications: events with their verdicts, and sessions.",
            "usage": "Read topics with isolation.level=read_committed. Records with the header replay replace others.",
        },
        "schema": [
            *(_topic(name, records[value]) for name, value in topics.items()),
            *(_table(name, text, columns) for name, (text, columns) in TABLES.items()),
            *(_payload(known) for known in catalogue),
        ],
    }


def _topic(name: str, schema: Json) -> Json:
    return {
        "name": name,
        "physicalName": name,
        "physicalType": "topic",
        "logicalType": "object",
        "description": schema["description"],
        "properties": _properties(schema),
    }


def _table(name: str, text: str, columns: tuple[Column, ...]) -> Json:
    keys = _KEYS[name]
    unique = {"type": "library", "metric": "duplicateValues", "mustBe": 0, "unit": "rows"}
    return {
        "name": f"eye.{name}",
        "physicalName": f"eye.{name}",
        "physicalType": "table",
        "logicalType": "object",
        "description": text,
        "properties": [_column(column, keys) for column in columns],
        "quality": [
            unique | {"arguments": {"properties": list(keys)}, "description": "A row is there once."},
        ],
    }


def _column(column: Column, keys: tuple[str, ...]) -> Json:
    found: Json = {
        "name": column.name,
        "logicalType": _LOGICAL[column.type],
        "physicalType": column.type,
        "description": column.meaning,
        "required": not column.nullable,
    }
    if column.name in keys:
        found |= {"primaryKey": True, "primaryKeyPosition": keys.index(column.name) + 1}
    if not column.nullable:
        found["quality"] = [{"type": "library", "metric": "nullValues", "mustBe": 0, "unit": "rows"}]
    return found


def _payload(known: EventType) -> Json:
    """Return the payload of a version of a type: `data` of the topic and of the table's rows."""
    schema = known.json_schema()
    found: Json = {
        "name": key_of(known),
        "businessName": f"{known.category} / {known.name}, version {known.version}",
        "physicalType": "json",
        "logicalType": "object",
        "description": schema.get("description", ""),
        "properties": _properties(schema),
    }
    if "x-owner" in schema:
        found["customProperties"] = [{"property": "owner", "value": schema["x-owner"]}]
    return found | ({"deprecated": True} if schema.get("deprecated") else {})


def _properties(schema: Json) -> list[Json]:
    required = schema.get("required", [])
    return [_property(name, field, name in required) for name, field in schema.get("properties", {}).items()]


def _property(name: str, field: Json, required: bool) -> Json:
    kinds = [part for part in field.get("anyOf", [field]) if part.get("type") != "null"]
    kind, form = kinds[0].get("type", "object"), kinds[0].get("format")
    logical = "timestamp" if form == "date-time" else "date" if form == "date" else kind
    nullable = len(kinds) < len(field.get("anyOf", [field]))
    found: Json = {"name": name, "logicalType": logical, "required": required and not nullable}
    found |= {key: field[key] for key in ("description", "examples") if key in field}
    found |= {"deprecated": True} if field.get("deprecated") else {}
    return found | ({"classification": "pii"} if field.get("pii") else {})
