"""Segment and RudderStack: one call of the spec, or a batch of them; the key is in Basic or `writeKey`."""

from __future__ import annotations

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
    object_members,
    quoted,
    string,
    without,
)
from gateway.ingest.results import Answer
from gateway.problems import BadRequest
from schemas.record import from_millis

SPEC = ("track", "page", "screen", "identify", "group", "alias")
"""The calls of the spec; @segment/analytics-next names each by its first letter."""

_KEY = "writeKey"
_SPOKEN_FOR = frozenset({_KEY, "messageId", "userId", "sentAt", "context"})
"""The members of an event that have a place of their own, whatever the call is."""


def read_batch(parts: RequestParts) -> Batch:
    """Read a body with a list of calls under `batch`. Raises BadRequest or TooLarge."""
    wrapper = body_members(trimmed(parts.body)) or {}
    events = body_elements(wrapper.get("batch", b""), parts.limits.max_events)
    if events is None:
        raise BadRequest('A batch is {"batch": [...]}, with one call of the spec in each place.')
    moment = sent_at(string(wrapper.get("sentAt")))
    return Batch(events, lambda event: _item(event, None, moment, parts), string(wrapper.get(_KEY)))


def read_call(parts: RequestParts) -> Batch:
    """Read a body that is one call, which the path names. Raises BadRequest."""
    body = trimmed(parts.body)
    found = body_members(body)
    if found is None:
        raise BadRequest("A call is a JSON object.")
    named = parts.path.rstrip("/").rpartition("/")[2]
    call = next(call for call in SPEC if named in (call, call[0]))
    return Batch([body], lambda event: _item(event, call, None, parts), string(found.get(_KEY)))


def answer(_: RequestParts, answer: Answer) -> Reply:
    """Answer as Segment does, with our results."""
    return json_reply(answer, success=True)


def settings(key: str, host: str, scheme: str) -> bytes:
    """Return the settings that a browser's SDK fetches first: no integration but the sending of events to this host."""
    sending = {"apiKey": key, "apiHost": f"{host}/v1", "protocol": scheme}
    plan = {"track": {"__default": {"enabled": True, "integrations": {}}}}
    return encode({"integrations": {"Segment.io": sending}, "plan": plan, "metrics": {"sampleRate": 0}})


def _item(value: bytes, call: str | None, moment: str | None, parts: RequestParts) -> Item:
    """Map one call; `call` is its name where the path tells it, `moment` when the batch was sent."""
    return map_object(value, lambda sent: _mapped(value, sent, call, moment, parts), parts.limits)


def _mapped(value: bytes, sent: Members, call: str | None, moment: str | None, parts: RequestParts) -> Mapped:
    event = given(sent)
    call = call or string(event.get("type")) or ("track" if "event" in event else None)
    context = object_members(event.get("context"))
    session_ids = (context.get("sessionId"), event.get("anonymousId"), event.get("userId"), event.get("messageId"))
    payload = "traits" if call in ("identify", "group") and "properties" not in event else "properties"
    time = "timestamp" if "timestamp" in event else "originalTimestamp"
    title = "event" if "event" in event else "name"
    rest = {name: part for name, part in event.items() if name not in _SPOKEN_FOR | {payload, time, title}}
    if "context" in event and not event["context"].startswith(b"{"):
        rest["context"] = event["context"]
    return Mapped(
        session_id=first_identifier("session_id", session_ids) or parts.new_id(),
        event_id=identifier("event_id", event.get("messageId")),
        category=_category(event.get(payload), call),
        name=_name(event.get(title), call),
        timestamp=event.get(time) or encode(from_millis(parts.received_at)),
        data=event.get(payload) or (context.get(payload) if payload == "traits" else None) or b"{}",
        user_id=identifier("user_id", event.get("userId")),
        sent_at=(sent_at(string(event.get("sentAt"))) or moment) if time in event else None,
        context=context | rest,
        original=without(value, sent, _KEY),
    )


def _category(payload: bytes | None, call: str | None) -> bytes | None:
    """Return the category that a payload names, else the call."""
    named = string(object_members(payload).get("category"))
    if named and not named.isspace():
        return object_members(payload)["category"]
    return quoted(call) if call else None


def _name(title: bytes | None, call: str | None) -> bytes | None:
    """Return the name of an event; a call that has none in the spec is named by itself."""
    if call not in (None, "track") and (title is None or title == b'""'):
        return quoted(call)
    return title


_EXAMPLE = {
    "messageId": "my-message-1",
    "anonymousId": "visitor-1",
    "userId": "user-1",
    "event": "Order Completed",
    "properties": {"total": 9.5},
    "timestamp": "2026-01-02T03:04:05Z",
}
_BATCH = post(
    "/v1/batch", "Segment, RudderStack: calls of the spec", "/v1/b", example={"batch": [{"type": "track", **_EXAMPLE}]}
)

FORMATS = (
    Format("segment batch", [_BATCH], read_batch, answer),
    Format(
        "segment",
        [post(f"/v1/{call}", f"Segment, RudderStack: one {call}", f"/v1/{call[0]}", example=_EXAMPLE) for call in SPEC],
        read_call,
        answer,
    ),
)
"""A batch of calls, and each call alone."""
