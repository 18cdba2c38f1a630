"""A type in one word, as CloudEvents and OpenTelemetry have it, as category and name."""

from __future__ import annotations

from gateway.ingest.formats.json_slices import quoted, string


def split_type(event_type: bytes | None) -> tuple[bytes | None, bytes | None]:
    """Return what is before a type's last dot and what is after it; without both, the whole type for each."""
    text = string(event_type)
    category, _, name = (text or "").rpartition(".")
    return (quoted(category), quoted(name)) if category and name else (event_type, event_type)
