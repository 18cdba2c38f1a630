"""A vendor's event becomes one of ours: its JSON, and its verdict at the door."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from gateway.ingest import json_scanner
from gateway.ingest.event_reader import Item
from gateway.ingest.formats.format import Limits
from gateway.ingest.formats.json_slices import Members, joined, members, quoted
from gateway.ingest.results import OK, Status
from schemas.json_reader import MAX_DEPTH
from schemas.timestamp import parse_timestamp
from schemas.verdict import Code, Violation

ORIGINAL = "original"
"""The member of an event's context that holds what was sent."""

ORIGINAL_DROPPED = "original_dropped"
"""Says in its place that it did not fit: its size in bytes, or that it was nested too deep."""

_LEVELS_ABOVE = 2
"""The levels that the event and its context put above what was sent."""


class Mapped(msgspec.Struct, kw_only=True):
    """A vendor's event in our words.

    `category`, `name`, `timestamp`, `data` and the members of `context` are JSON, as sent; what is missing is None, and
    it is the stream that says so. `sent_at` goes with a time by the sender's clock, never with ours. `original` is
    the event as sent, without the sender's key.
    """

    session_id: str | None
    event_id: str | None = None
    category: bytes | None = None
    name: bytes | None = None
    timestamp: bytes | None = None
    data: bytes = b"{}"
    user_id: str | None = None
    sent_at: str | None = None
    context: Members
    original: bytes


def to_item(mapped: Mapped, limits: Limits) -> Item:
    """Return the event as our JSON, `ok` unless it has no session or is too large.

    What was sent is in its context where it fits.
    """
    value = _event(mapped, mapped.context | {ORIGINAL: mapped.original})
    if len(value) > limits.max_event_bytes:
        value = _event(mapped, mapped.context | {ORIGINAL_DROPPED: quoted(f"{len(mapped.original)} bytes")})
    elif is_deeper(mapped.original, MAX_DEPTH - _LEVELS_ABOVE):
        value = _event(mapped, mapped.context | {ORIGINAL_DROPPED: quoted("nested too deep")})
    item = Item(value, OK, mapped.session_id, mapped.event_id)
    if mapped.session_id is None:
        message = "nothing in the event can be its session_id"
        item.status, item.errors = Status.INVALID, [Violation(Code.MISSING_FIELD, "$.session_id", message)]
    elif len(value) > limits.max_event_bytes:
        message = f"{len(value)} bytes; the limit is {limits.max_event_bytes}"
        item.status, item.errors = Status.TOO_LARGE, [Violation(Code.TOO_LARGE, "$", message)]
    return item


def map_object(value: bytes, mapping: Callable[[Members], Mapped], limits: Limits) -> Item:
    """Map an event that should be a JSON object; `mapping` gets its members. What is none is refused."""
    try:
        sent = members(value)
    except ValueError as error:
        return refused(value, Code.NOT_JSON, str(error))
    if sent is None:
        return refused(value, Code.NOT_AN_OBJECT, "an event is a JSON object")
    return to_item(mapping(sent), limits)


def refused(value: bytes, code: Code, message: str, path: str = "$") -> Item:
    """Return an event that is refused for good, for one reason."""
    status = Status.TOO_LARGE if code is Code.TOO_LARGE else Status.INVALID
    return Item(value, status, errors=[Violation(code, path, message)])


def sent_at(text: str | None) -> str | None:
    """Return the sender's clock when it sent, if it is a time: a broken one is no reason to refuse an event."""
    if text is None:
        return None
    try:
        parse_timestamp(text)
    except ValueError:
        return None
    return text


def _event(mapped: Mapped, context: Members) -> bytes:
    fields = {
        "event_id": _text(mapped.event_id),
        "session_id": _text(mapped.session_id),
        "user_id": _text(mapped.user_id),
        "category": mapped.category,
        "name": mapped.name,
        "timestamp": mapped.timestamp,
        "sent_at": _text(mapped.sent_at),
        "data": mapped.data,
        "context": joined(context),
    }
    return joined({name: value for name, value in fields.items() if value is not None})


def _text(text: str | None) -> bytes | None:
    return None if text is None else quoted(text)


def is_deeper(value: bytes, levels: int) -> bool:
    """Tell whether a JSON value is nested deeper than so many levels."""
    if value.count(b"{") + value.count(b"[") <= levels:
        return False
    return json_scanner.depth(json_scanner.text_of(value)) > levels
