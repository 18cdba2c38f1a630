"""An event as an application sends it: fields, limits, formats of the timestamp."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec

from schemas.verdict import Code

MAX_TEXT = 128
"""Longest session_id, category, name and event_id, in characters."""

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TEXT)]


class SentEvent(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    """One event as nearly every sender writes it; an event that decodes into it has the right shape."""

    session_id: Text
    category: Text
    name: Text
    timestamp: datetime
    data: msgspec.Raw
    event_id: Text | None = None
    schema_version: int | None = None


REQUIRED_FIELDS = ("session_id", "category", "name", "timestamp", "data")
KNOWN_FIELDS = frozenset(SentEvent.__struct_fields__)


_BEGIN = datetime(1970, 1, 1)
_BEGIN_IN_UTC = _BEGIN.replace(tzinfo=UTC)


def parse_timestamp(text: str) -> datetime:
    """Read an ISO 8601 date and time, separated by T or a space; without an offset it is UTC.

    Returns a time in UTC, to the microsecond. Raises ValueError for anything else, including a date alone and times
    outside the years 1 to 9999.
    """
    try:
        return in_utc(msgspec.convert(text, datetime))  # RFC 3339, as `SentEvent` reads it
    except msgspec.ValidationError:
        pass
    text = text.upper()
    if text[10:11] not in ("T", " ") and text[8:9] != "T":
        raise ValueError("not an ISO 8601 date and time, like 2021-01-01 09:15:27.243860")
    return in_utc(datetime.fromisoformat(text))


def in_utc(moment: datetime) -> datetime:
    """Convert a time to UTC; one without an offset is UTC. Raises ValueError outside the years 1 to 9999."""
    if moment.tzinfo is UTC:
        return moment
    if moment.tzinfo is None:
        return _BEGIN_IN_UTC + (moment - _BEGIN)  # a fifth of what replace() takes
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("outside the years 1 to 9999") from error


def text_fault(field: str, value: Any) -> tuple[Code, str] | None:
    """Check session_id, category, name or event_id against the limits; return None when it is valid."""
    if not isinstance(value, str):
        return Code.WRONG_TYPE, f"{field} must be a string"
    if not 1 <= len(value) <= MAX_TEXT:
        return Code.BAD_VALUE, f"{field} must have 1 to {MAX_TEXT} characters"
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
