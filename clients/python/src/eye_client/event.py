"""An event as it is sent: its fields, and its JSON."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec


class Event(msgspec.Struct, omit_defaults=True, gc=False):
    """One event. Fields that have no value are left out of its JSON.

    `timestamp` is ISO 8601 where it is a string; a datetime without a zone is in UTC.
    """

    event_id: str
    session_id: str
    category: str
    name: str
    timestamp: datetime | str
    data: Mapping[str, Any] | msgspec.Raw
    schema_version: int | None = None
    user_id: str | None = None
    context: Mapping[str, Any] | None = None


NOT_JSON = (TypeError, ValueError, RecursionError, OverflowError)
"""Exceptions of encoding a value that JSON has no form for."""

encode = msgspec.json.Encoder(decimal_format="number").encode
"""Return the JSON of an event. Dates, UUIDs, enums, dataclasses and attrs are written; else TypeError."""


class _Known(msgspec.Struct):
    event_id: str


_known = msgspec.json.Decoder(_Known)


def event_id_of(event: bytes) -> str:
    """Return the event_id within an event's JSON."""
    return _known.decode(event).event_id
