"""Identifiers of events: those that the gateway assigns, and those of rows."""

from __future__ import annotations

import re
import uuid

MAX_EVENT_ID = 200
"""Longest event_id that the stream takes, in characters: other senders' formats have longer ones than ours."""

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:the-eye:event")
_VERSION_AND_VARIANT = 0x7 << 76 | 0x2 << 62
_NEITHER = ~(0xF << 76 | 0x3 << 62)
_CANONICAL = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")


def uuid7(millis: int, random: bytes) -> str:
    """Return the UUIDv7 (RFC 9562) of a time in milliseconds since 1970 and ten random bytes, in canonical form."""
    value = (millis & 0xFFFF_FFFF_FFFF) << 80 | int.from_bytes(random[:10], "big")
    digits = f"{value & _NEITHER | _VERSION_AND_VARIANT:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def idempotent_id(application: str, key: str, index: int) -> str:
    """Return the event_id of a request's event without one: a UUIDv5 of application, Idempotency-Key and index."""
    return str(uuid.uuid5(uuid.uuid5(_NAMESPACE, application), f"idempotency:{key}:{index}"))


def is_uuid(event_id: str) -> bool:
    """Return whether an id is a UUID in its canonical form (8-4-4-4-12 hexadecimal digits)."""
    return _CANONICAL.fullmatch(event_id) is not None


def row_id(application: str, event_id: str) -> uuid.UUID:
    """Return the UUID of an event's row: its event_id, or a UUIDv5 of application and id if that is no UUID."""
    if is_uuid(event_id):
        return uuid.UUID(event_id)
    return uuid.uuid5(uuid.uuid5(_NAMESPACE, application), event_id)


def source_id(source: str) -> str:
    """Return the event_id of a record without one: a UUIDv5 of its topic, partition and offset."""
    return str(uuid.uuid5(_NAMESPACE, source))
