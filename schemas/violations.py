"""Collect every violation of an event, each with its code and its JSON path; slow."""

from __future__ import annotations

import base64
import json
import re
from datetime import datetime
from typing import Any, Literal

import msgspec
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from schemas import json_reader
from schemas.catalogue import EventType
from schemas.event import KNOWN_FIELDS, MAX_TEXT, NO_CONTEXT, REQUIRED_FIELDS, text_fault
from schemas.json_reader import Violations
from schemas.record import Envelope
from schemas.rules import Rules
from schemas.session_clocks import SessionClocks, clock_offset, corrected
from schemas.timestamp import parse_timestamp
from schemas.verdict import Accepted, Code, Rejected, Verdict

_MAY_BE_NULL = ("event_id", "user_id")

MAX_VIOLATIONS = 100
"""Most violations that are listed of one event; hostile input could have millions."""


def collect_violations(value: bytes, envelope: Envelope, rules: Rules, clocks: SessionClocks) -> Verdict:
    """Judge a raw value, listing all its violations; an event without any is accepted."""
    found = Violations()
    event = json_reader.sanitize(_read(value, rules.max_event_bytes, found), (), found)
    if not isinstance(event, dict):
        return _rejected(value, envelope, rules, {}, None, found)
    _check_fields(event, found)
    _check_key(event, envelope, found)
    sent_at = _check_sent_at(event, envelope, found)
    offset = _clock_offset(event, sent_at, envelope, clocks, found)
    timestamp = _check_timestamp(event, found)
    occurred_at = _check_time(timestamp, sent_at, offset, envelope, rules, found)
    event_type = _check_payload(event, envelope, rules, found)
    if found or timestamp is None or occurred_at is None or event_type is None:
        return _rejected(value, envelope, rules, event, offset, found)
    as_sent = _as_sent(value, event)
    return Accepted(
        event_id=envelope.event_id,
        application=envelope.application,
        session_id=event["session_id"],
        category=event["category"],
        name=event["name"],
        occurred_at=occurred_at,
        received_at=envelope.received_at,
        schema_version=event_type.version,
        data=as_sent.data,
        user_id=msgspec.UNSET if event.get("user_id") is None else event["user_id"],
        context=msgspec.UNSET if event.get("context") is None else as_sent.context,
        timestamp_sent=msgspec.UNSET if offset is None else timestamp,
        clock_offset_ms=msgspec.UNSET if offset is None else offset,
    )


def _read(value: bytes, max_bytes: int, found: Violations) -> Any:
    """Return the JSON object; None, with the reason recorded, if there is none."""
    if len(value) > max_bytes:
        found.add(Code.TOO_LARGE, (), f"{len(value)} bytes; the limit is {max_bytes}")
        return None
    try:
        document = json_reader.loads(value.decode())
    except UnicodeDecodeError as error:
        found.add(Code.NOT_JSON, (), f"no UTF-8 at byte {error.start}")
    except json_reader.TooDeep as error:
        found.add(Code.TOO_DEEP, (), str(error))
    except ValueError as error:
        found.add(Code.NOT_JSON, (), str(error))
    else:
        if isinstance(document, dict):
            return document
        found.add(Code.NOT_AN_OBJECT, (), "an event is a JSON object")
    return None


def _check_fields(event: dict[str, Any], found: Violations) -> None:
    for field in event:
        if field not in KNOWN_FIELDS:
            found.add(Code.UNKNOWN_FIELD, (field,), "an event has no such field")
    for field in REQUIRED_FIELDS:
        if field not in event:
            found.add(Code.MISSING_FIELD, (field,), f"{field} is missing")
    for field in ("session_id", "category", "name", "event_id", "user_id"):
        if field in event and (field not in _MAY_BE_NULL or event[field] is not None):
            fault = text_fault(field, event[field])
            if fault is not None:
                found.add(fault[0], (field,), fault[1])
    if event.get("schema_version") is not None and type(event["schema_version"]) is not int:
        found.add(Code.WRONG_TYPE, ("schema_version",), "schema_version must be an integer")
    if event.get("context") is not None and not isinstance(event["context"], dict):
        found.add(Code.WRONG_TYPE, ("context",), "context must be an object")
    if "data" in event and not isinstance(event["data"], dict):
        found.add(Code.WRONG_TYPE, ("data",), "data must be an object")


def _check_key(event: dict[str, Any], envelope: Envelope, found: Violations) -> None:
    """Check that the record's key is the session_id, which keeps a session in one partition."""
    session_id = event.get("session_id")
    if isinstance(session_id, str) and session_id.encode() != envelope.key:
        found.add(Code.BAD_VALUE, ("session_id",), "the record's key is not the session_id")


def _check_sent_at(event: dict[str, Any], envelope: Envelope, found: Violations) -> datetime | None:
    """Return when an event was sent by its sender's clock; None if nothing is known."""
    if event.get("sent_at") is None:
        return envelope.sent_at
    return _read_time(event, "sent_at", found) or envelope.sent_at


def _clock_offset(
    event: dict[str, Any], sent_at: datetime | None, envelope: Envelope, clocks: SessionClocks, found: Violations
) -> int | None:
    """Return the clock offset of the event's session; of a session that can't be read there is none."""
    if "session_id" not in event or "$.session_id" in found:
        return None
    return clocks.clock_offset(event["session_id"], sent_at, envelope.received_at)


def _check_timestamp(event: dict[str, Any], found: Violations) -> datetime | None:
    return _read_time(event, "timestamp", found) if "timestamp" in event else None


def _read_time(event: dict[str, Any], field: str, found: Violations) -> datetime | None:
    if not isinstance(event[field], str):
        found.add(Code.WRONG_TYPE, (field,), f"{field} must be a string")
        return None
    try:
        return parse_timestamp(event[field])
    except ValueError as error:
        found.add(Code.BAD_TIMESTAMP, (field,), str(error))
        return None


def _check_time(
    timestamp: datetime | None,
    sent_at: datetime | None,
    offset: int | None,
    envelope: Envelope,
    rules: Rules,
    found: Violations,
) -> datetime | None:
    """Return when an event occurred, by its session's clock offset.

    It has a fault only if its own request's clock does not explain it either: a session whose first request was
    stalled has a wrong offset, and its events are kept all the same.
    """
    if timestamp is None:
        return None
    try:
        occurred_at = corrected(timestamp, offset)
        fault = rules.time_fault(occurred_at, envelope.received_at)
        if fault is not None:
            own = clock_offset(sent_at, envelope.received_at, rules.clock_skew)
            own_fault = rules.time_fault(corrected(timestamp, own), envelope.received_at)
            fault = None if own_fault is None else fault
    except ValueError as error:
        found.add(Code.BAD_TIMESTAMP, ("timestamp",), str(error))
        return None
    if fault is not None:
        found.add(fault[0], ("timestamp",), fault[1])
    return occurred_at


def _check_payload(event: dict[str, Any], envelope: Envelope, rules: Rules, found: Violations) -> EventType | None:
    """Check the payload against its type's rules; return the type, or None if it is unknown."""
    category, name, version = event.get("category"), event.get("name"), event.get("schema_version")
    if not isinstance(category, str) or not isinstance(name, str):
        return None
    accept_unknown = envelope.accept_unknown
    if rules.type_of(category, name, None, accept_unknown) is None:
        found.add(
            Code.UNKNOWN_EVENT_TYPE, ("name",), f"no event type {category[:MAX_TEXT]} / {name[:MAX_TEXT]} is known"
        )
        return None
    named = version if type(version) is int else None
    event_type = rules.type_of(category, name, named, accept_unknown, envelope.received_at)
    if event_type is None:
        found.add(Code.BAD_VALUE, ("schema_version",), f"this event type has no version {version}")
    elif isinstance(event.get("data"), dict):
        _check_against_model(event["data"], event_type, found)
    return event_type


def _check_against_model(data: dict[str, Any], event_type: EventType, found: Violations) -> None:
    try:
        event_type.check(json.dumps(data))
    except ValidationError as error:
        for details in error.errors(include_url=False, include_context=False, include_input=False):
            found.add(_code_of(details), ("data", *details["loc"]), details["msg"])
    except Exception as error:  # a bug in a rule costs its own events, never the partition
        rule = f"{event_type.category} / {event_type.name}"
        found.add(Code.VALIDATOR_ERROR, ("data",), f"the rules of {rule} failed: {type(error).__name__}: {error}")


def _code_of(details: ErrorDetails) -> Code:
    match details["type"]:
        case "missing":
            return Code.MISSING_FIELD
        case "extra_forbidden":
            return Code.UNKNOWN_FIELD
        case kind if kind.endswith("_type") or kind == "is_instance_of":
            return Code.WRONG_TYPE
    return Code.BAD_VALUE


class _AsSent(msgspec.Struct):
    data: msgspec.Raw
    context: msgspec.Raw = NO_CONTEXT


def _as_sent(value: bytes, event: dict[str, Any]) -> _AsSent:
    """Return payload and context as sent; encode them again only if no reader but Python's takes them as JSON."""
    try:
        return msgspec.json.decode(value, type=_AsSent)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _AsSent(_encoded(event["data"]), _encoded(event.get("context")))


def _encoded(part: Any) -> msgspec.Raw:
    return msgspec.Raw(json.dumps(part).encode())


def _rejected(
    value: bytes, envelope: Envelope, rules: Rules, event: dict[str, Any], offset: int | None, found: Violations
) -> Rejected:
    raw, encoding = _as_text(value[: rules.max_event_bytes])
    return Rejected(
        event_id=envelope.event_id,
        application=envelope.application,
        session_id=None if "$.session_id" in found else event.get("session_id"),
        category=_beginning(event.get("category")),
        name=_beginning(event.get("name")),
        timestamp=_beginning(event.get("timestamp")),
        received_at=envelope.received_at,
        errors=list(found.values())[:MAX_VIOLATIONS],
        raw=raw,
        raw_encoding=encoding,
        raw_truncated=len(value) > rules.max_event_bytes,
        clock_offset_ms=msgspec.UNSET if offset is None else offset,
    )


def _beginning(value: Any) -> str | None:
    return value[:MAX_TEXT] if isinstance(value, str) else None


def _as_text(value: bytes) -> tuple[str, Literal["utf-8", "base64"]]:
    """Return the value as text, or as base64 if JSON would escape it to several times its length."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = "\0"
    return (base64.b64encode(value).decode(), "base64") if _control_character.search(text) else (text, "utf-8")


_control_character = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
