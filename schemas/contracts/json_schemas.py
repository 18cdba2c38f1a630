"""The catalogue as JSON Schemas (2020-12): a document for each version of each event type."""

from __future__ import annotations

import re
from typing import Any

from schemas.catalogue import Catalogue, EventType

Json = dict[str, Any]

TYPE_KEY = "x-event-type"
"""The member of a document that says which type and version it describes, and since when that is the default."""


def json_schemas(catalogue: Catalogue) -> dict[str, Json]:
    """Return the documents by file name."""
    return {file_name(event_type): document(event_type, catalogue) for event_type in catalogue}


def document(event_type: EventType, catalogue: Catalogue) -> Json:
    """Return the JSON Schema of a payload, with the type and the version that it describes."""
    stated = {
        "category": event_type.category,
        "name": event_type.name,
        "version": event_type.version,
        "default": catalogue.find(event_type.category, event_type.name) == event_type,
        "default_since": [moment.isoformat() for moment in event_type.model.event_default_since],
    }
    return event_type.json_schema() | {TYPE_KEY: stated}


def describes(schema: Json) -> tuple[str, str, int]:
    """Return category, name and version of a document. Raises ValueError if it states none."""
    try:
        stated = schema[TYPE_KEY]
        return str(stated["category"]), str(stated["name"]), int(stated["version"])
    except (KeyError, TypeError):
        raise ValueError(f"no exported event type: {TYPE_KEY} does not state category, name and version") from None


def file_name(event_type: EventType) -> str:
    """Return the name of a document's file."""
    return f"{key_of(event_type)}.json"


def key_of(event_type: EventType) -> str:
    """Return a key that no other version has: letters and digits; a blank is _, any other character -HEX-."""
    return f"{_plain(event_type.category)}.{_plain(event_type.name)}.v{event_type.version}"


def _plain(word: str) -> str:
    return re.sub(r"[^a-zA-Z0-9]", lambda found: "_" if found[0] == " " else f"-{ord(found[0]):x}-", word)
