"""An event as an application sends it: its fields and their limits."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import msgspec

from schemas.ids import MAX_EVENT_ID
from schemas.verdict import Code

MAX_TEXT = 128
"""Longest session_id, category, name and user_id, in characters; and an event_id of `POST /events/`."""

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TEXT)]
EventId = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_EVENT_ID)]


NO_CONTEXT = msgspec.Raw(b"")
"""The context of an event that has none."""


class SentEvent(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """One event as nearly every sender writes it; an event that decodes into it has the right shape."""

    session_id: Text
    category: Text
    name: Text
    timestamp: datetime
    data: msgspec.Raw
    event_id: EventId | None = None
    schema_version: int | None = None
    user_id: Text | None = None
    context: msgspec.Raw = NO_CONTEXT
    sent_at: datetime | None = None


REQUIRED_FIELDS = ("session_id", "category", "name", "timestamp", "data")
KNOWN_FIELDS = frozenset(SentEvent.__struct_fields__)


def text_fault(field: str, value: Any, most: int | None = None) -> tuple[Code, str] | None:
    """Check session_id, category, name, event_id or user_id against the limits; return None when it is valid.

    `most` is the number of characters it may have, by default the most that the stream takes.
    """
    if not isinstance(value, str):
        return Code.WRONG_TYPE, f"{field} must be a string"
    most = most or (MAX_EVENT_ID if field == "event_id" else MAX_TEXT)
    if not 1 <= len(value) <= most:
        return Code.BAD_VALUE, f"{field} must have 1 to {most} characters"
    if value.isspace():
        return Code.BAD_VALUE, f"{field} must have a character that is not a blank"
    fault = unstorable_character(value)
    return (Code.BAD_VALUE, fault) if fault else None


def unstorable_character(value: str) -> str | None:
    """Return the fault of a text that JSON can hold but a database cannot (U+0000, half a surrogate pair), or None."""
    if "\0" in value:
        return "the character U+0000 can't be stored"
    try:
        value.encode()
    except UnicodeEncodeError:
        return "half of a surrogate pair is no character"
    return None
