"""PostHog: one event or a batch; the key is `api_key` in the body, or a Bearer token in the newer capture mode."""

from __future__ import annotations

import base64
import re
from collections.abc import Set
from datetime import timedelta
from urllib.parse import parse_qs

from gateway.access.authorization import presented_key
from gateway.ingest.event_reader import Item, trimmed
from gateway.ingest.formats.event import Mapped, map_object, sent_at
from gateway.ingest.formats.format import Batch, Format, Reply, RequestParts, json_reply, post
from gateway.ingest.formats.json_slices import (
    Members,
    body_elements,
    body_members,
    encode,
    first_identifier,
    given,
    identifier,
    joined,
    members,
    object_members,
    string,
    without,
)
from gateway.ingest.results import OK, Answer, Status
from gateway.problems import BadRequest
from schemas.record import from_millis

_KEYS = ("api_key", "token")
"""The members of a body, or of an event, that may hold the key."""

_SPOKEN_FOR = frozenset({*_KEYS, "uuid", "event", "properties", "distinct_id", "session_id", "timestamp", "sent_at"})
Keys = Set[str | None]

_MILLISECONDS = re.compile(rb"\d{1,11}")


def read(parts: RequestParts) -> Batch:
    """Read one event, an array of events, or an object with `batch`. Raises BadRequest or TooLarge."""
    body = _document(trimmed(parts.body))
    wrapper = body_members(body)
    events: list[bytes] | None = [body]
    if wrapper is None:
        wrapper, events = {}, body_elements(body, parts.limits.max_events)
    elif "batch" in wrapper:
        events = body_elements(wrapper["batch"], parts.limits.max_events)
    if events is None:
        raise BadRequest('A body is one event, a list of events, or {"api_key": "...", "batch": [...]}.')
    moment = sent_at(string(wrapper.get("sent_at"))) or sent_at(parts.headers.get("PostHog-Request-Timestamp"))
    key = _key(wrapper) or (_key_of_event(events[0]) if events else None)
    keys = {key, parts.query.get("key"), presented_key(parts.headers)} - {None}
    return Batch(events, lambda event: _item(event, moment, keys, parts), key)


def answer(_: RequestParts, answer: Answer) -> Reply:
    """Answer as PostHog does, with our results."""
    return json_reply(answer, status="Ok")


def answer_by_id(_: RequestParts, answer: Answer) -> Reply:
    """Answer as the newer capture mode has it: a directive for each event by its id, `retry` among them."""
    directives = {
        result.event_id: {"result": _DIRECTIVES[result.status], "details": "; ".join(e.message for e in result.errors)}
        for result in answer.results
        if isinstance(result.event_id, str)
    }
    return Reply(encode({"accepted": answer.accepted, "rejected": answer.rejected, "results": directives}))


_DIRECTIVES = {OK: "ok", Status.INVALID: "drop", Status.TOO_LARGE: "drop", Status.RETRY: "retry"}


def _document(body: bytes) -> bytes:
    """Return the JSON of a body; posthog-js may send it as a form's `data`, in base64."""
    if not body.startswith(b"data="):
        return body
    try:
        data = parse_qs(body.decode("ascii", "replace"), max_num_fields=10).get("data", [""])[0].strip()
        if data.startswith(("{", "[")):
            return data.encode("utf-8", "surrogateescape")
        return base64.b64decode(data + "=" * (-len(data) % 4)).strip()
    except ValueError:
        raise BadRequest("`data` of a form is JSON, plain or as base64.") from None


def _key(found: Members) -> str | None:
    return next(filter(None, (string(found.get(name)) for name in _KEYS)), None)


def _key_of_event(value: bytes) -> str | None:
    event = object_members(value)
    return _key(event) or _key(object_members(event.get("properties")))


def _item(value: bytes, moment: str | None, keys: Keys, parts: RequestParts) -> Item:
    """Map one event; `moment` is when the batch was sent, `keys` those of the request, which are not kept."""
    return map_object(value, lambda sent: _mapped(value, sent, moment, keys, parts), parts.limits)


def _mapped(value: bytes, sent: Members, moment: str | None, keys: Keys, parts: RequestParts) -> Mapped:
    event = given(sent)
    if "properties" in event:
        event["properties"] = _without_token(event["properties"], keys)
    properties = object_members(event.get("properties"))
    person = event.get("distinct_id") or properties.get("distinct_id")
    session_ids = (properties.get("$session_id"), event.get("session_id"), person, event.get("uuid"))
    named = string(properties.get("category"))
    return Mapped(
        session_id=first_identifier("session_id", session_ids) or parts.new_id(),
        event_id=identifier("event_id", event.get("uuid")),
        category=properties["category"] if named and not named.isspace() else b'"event"',
        name=event.get("event"),
        timestamp=event.get("timestamp") or _moment_of(event.get("offset"), parts.received_at),
        data=event.get("properties", b"{}"),
        user_id=identifier("user_id", person),
        sent_at=(sent_at(string(event.get("sent_at"))) or moment) if "timestamp" in event else None,
        context={name: part for name, part in event.items() if name not in _SPOKEN_FOR},
        original=_original(value, sent, event.get("properties")),
    )


def _without_token(properties: bytes, keys: Keys) -> bytes:
    """Return an event's properties without the sender's key, which posthog-js puts there."""
    if not keys or string(object_members(properties).get("token")) not in keys:
        return properties
    return without(properties, members(properties) or {}, "token")


def _original(value: bytes, sent: Members, properties: bytes | None) -> bytes:
    if properties != sent.get("properties") and properties is not None:
        return joined({name: part for name, part in (sent | {"properties": properties}).items() if name not in _KEYS})
    return without(value, sent, *_KEYS)


def _moment_of(offset: bytes | None, received_at: int) -> bytes:
    """Return the time of an event that names none: so many milliseconds before it came, or when it came."""
    milliseconds = int(offset) if offset is not None and _MILLISECONDS.fullmatch(offset) else 0
    return encode(from_millis(received_at) - timedelta(milliseconds=milliseconds))


_EXAMPLE = {
    "uuid": "01a203d2-4f6b-7b3c-9d7e-0f1a2b3c4d5e",
    "event": "order completed",
    "distinct_id": "user-1",
    "properties": {"total": 9.5, "$session_id": "session-1"},
    "timestamp": "2026-01-02T03:04:05Z",
}
_WITH_KEY = {"api_key": "KEY", **_EXAMPLE}

FORMATS = (
    Format(
        "posthog",
        [
            post("/batch", "PostHog: a batch", "/i/v0/ai/batch/", example={"api_key": "KEY", "batch": [_EXAMPLE]}),
            post("/capture", "PostHog: one event or a batch", "/e", "/e/", example=_WITH_KEY),
            post("/i/v0/e", "PostHog: one event or a batch", example=_WITH_KEY),
        ],
        read,
        answer,
    ),
    Format(
        "posthog v1",
        [post("/i/v1/analytics/events", "PostHog's newer capture mode: a batch", example={"batch": [_EXAMPLE]})],
        read,
        answer_by_id,
        asks_again=True,
    ),
)
"""Both capture modes."""
