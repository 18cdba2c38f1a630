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
from schemas.timestamp import parse_timestamp
from schemas.verdict import Accepted, Code, Rejected, Verdict

_MAY_BE_NULL = ("event_id", "user_id")

MAX_VIOLATIONS = 100
"""Most violations that are listed of one event; hostile input could have millions."""


def collect_violations(value: bytes, envelope: Envelope, rules: Rules) -> Verdict:
    """Judge a raw value, listing all its violations; an event without any is accepted."""
    found = Violations()
    event = json_reader.sanitize(_read(value, rules.max_event_bytes, found), (), found)
    if not isinstance(event, dict):
        return _rejected(value, envelope, rules, {}, found)
    _check_fields(event, found)
    _check_key(event, envelope, found)
    occurred_at = _check_timestamp(event, envelope, rules, found)
    event_type = _check_payload(event, rules, found)
    if found or occurred_at is None or event_type is None:
        return _rejected(value, envelope, rules, event, found)
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


def _check_timestamp(event: dict[str, Any], envelope: Envelope, rules: Rules, found: Violations) -> datetime | None:
    timestamp = event.get("timestamp", "")
    if not isinstance(timestamp, str):
        found.add(Code.WRONG_TYPE, ("timestamp",), "timestamp must be a string")
        return None
    try:
        occurred_at = parse_timestamp(timestamp)
    except ValueError as error:
        found.add(Code.BAD_TIMESTAMP, ("timestamp",), str(error))
        return None
    fault = rules.time_fault(occurred_at, envelope.received_at)
    if fault is not None:
        found.add(fault[0], ("timestamp",), fault[1])
    return occurred_at


def _check_payload(event: dict[str, Any], rules: Rules, found: Violations) -> EventType | None:
    """Check the payload against its type's rules; return the type, or None if it is unknown."""
    category, name, version = event.get("category"), event.get("name"), event.get("schema_version")
    if not isinstance(category, str) or not isinstance(name, str):
        return None
    if rules.type_of(category, name) is None:
        found.add(
            Code.UNKNOWN_EVENT_TYPE, ("name",), f"no event type {category[:MAX_TEXT]} / {name[:MAX_TEXT]} is known"
        )
        return None
    event_type = rules.type_of(category, name, version if type(version) is int else None)
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


def _rejected(value: bytes, envelope: Envelope, rules: Rules, event: dict[str, Any], found: Violations) -> Rejected:
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
