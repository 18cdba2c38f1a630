"""The reader of bodies and events that the fast reader does not take.

It takes all that the stream takes (NaN, half surrogate pairs, any depth), and names what is at fault.
Bytes that are no UTF-8 stay as they are, so that each event is exactly as sent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from gateway.ingest import json_scanner
from gateway.ingest.json_scanner import nothing_follows, text_of
from schemas.event import MAX_TEXT, text_fault
from schemas.json_reader import Violations
from schemas.verdict import Code, Violation


class EventIds(NamedTuple):
    """The ids of an event, and the reasons why it can't be routed or stored; without errors it can."""

    session_id: str | None
    event_id: str | None
    errors: list[Violation]


class EventList(NamedTuple):
    """The events of a list, and the `sent_at` beside them, whatever it is."""

    events: Sequence[bytes | msgspec.Raw]
    sent_at: object


def split(body: bytes, max_events: int) -> EventList | None:
    """Return the events of a list of either form; None where the body is one value.

    Raises ValueError where it is no JSON, json_scanner.TooManyElements beyond the limit.
    """
    text = text_of(body)
    if text.startswith("["):
        spans, end = json_scanner.elements(text, 0, max_events)
        nothing_follows(text, end)
        return EventList(_events(text, spans), None)
    parts = _members(text)
    if parts is None or "session_id" in parts or "events" not in parts or text[parts["events"].start] != "[":
        return None
    sent_at = json_scanner.read(text, parts["sent_at"]) if "sent_at" in parts else None
    return EventList(_events(text, json_scanner.elements(text, parts["events"].start, max_events)[0]), sent_at)


def read_ids(value: bytes) -> EventIds:
    """Read the ids of an event from any bytes."""
    text, found = text_of(value), Violations()
    session_id = event_id = None
    try:
        parts = _members(text)
    except ValueError as error:
        found.add(Code.NOT_JSON, (), str(error))
    else:
        if parts is None:
            found.add(Code.NOT_AN_OBJECT, (), "an event is a JSON object")
        else:
            session_id = _session_id(text, parts, found)
            event_id = _event_id(text, parts, found)
    return EventIds(session_id, event_id, list(found.values()))


def _events(text: str, spans: Sequence[json_scanner.Span]) -> list[bytes]:
    return [text[span.start : span.end].encode("utf-8", "surrogateescape") for span in spans]


def _members(text: str) -> dict[str, json_scanner.Span] | None:
    """Return an object's members; None for any other value. Raises ValueError where it is no JSON."""
    if text.startswith("{"):
        parts, end = json_scanner.members(text, 0)
    else:
        parts, end = None, json_scanner.end_of_value(text, 0)
    nothing_follows(text, end)
    return parts


def _session_id(text: str, parts: dict[str, json_scanner.Span], found: Violations) -> str | None:
    if "session_id" in parts:
        return _checked("session_id", json_scanner.read(text, parts["session_id"]), found)
    found.add(Code.MISSING_FIELD, ("session_id",), "session_id is missing")
    return None


def _event_id(text: str, parts: dict[str, json_scanner.Span], found: Violations) -> str | None:
    value = json_scanner.read(text, parts["event_id"]) if "event_id" in parts else None
    return None if value is None else _checked("event_id", value, found)


def _checked(field: str, value: object, found: Violations) -> str | None:
    fault = text_fault(field, value, MAX_TEXT)
    if fault is not None:
        found.add(fault[0], (field,), fault[1])
    return value if fault is None and isinstance(value, str) else None
