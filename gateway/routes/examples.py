"""Example bodies for the OpenAPI document, made from the rules of each event type."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from schemas.catalogue import EventType
from schemas.contracts.samples import example_payload

Json = dict[str, Any]


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


def _event(event_type: EventType, payload: Any) -> Json:
    return {
        "session_id": "e2085be5-9137-4e4e-80b5-f1ffddc25423",
        "category": event_type.category,
        "name": event_type.name,
        "timestamp": "2021-01-01 09:15:27.243860",
        "data": payload,
    }
