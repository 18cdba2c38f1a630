"""CloudEvents 1.0 over HTTP: one event in headers and body (binary), one or many as JSON (structured, batch).

An event's data is an object, or becomes one under the name that CloudEvents' own JSON has for it: `data` for a text, a
number or a list, `data_base64` for bytes.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

from gateway.ingest.body import media_type
from gateway.ingest.event_reader import Item
from gateway.ingest.formats.event import Mapped, map_object
from gateway.ingest.formats.event_type import split_type
from gateway.ingest.formats.format import Batch, Format, RequestParts
from gateway.ingest.formats.json_slices import (
    Members,
    body_elements,
    body_members,
    elements,
    first_identifier,
    given,
    identifier,
    joined,
    members,
    object_members,
    quoted,
    string,
)
from gateway.problems import BadRequest
from schemas.record import from_millis

BINARY_MARK = "ce-specversion"
"""The header that tells an event in binary mode."""

_MARK = b'"specversion"'
_PREFIX = "ce-"
_SPOKEN_FOR = frozenset({"id", "time", "data", "data_base64", "userid"})
_JSON_TYPE = re.compile(r"[^\s/;]+/([^\s/;]+\+)?json\s*(;|$)", re.IGNORECASE)


def is_named(headers: Mapping[str, str]) -> bool:
    """Tell whether the head of a request says that it has CloudEvents."""
    return BINARY_MARK in headers or _is_structured(headers)


def is_in(body: bytes) -> bool:
    """Tell whether a body is a CloudEvent, or a list of some, though nothing in the head says so."""
    if _MARK not in body:
        return False
    document = body.strip()
    try:
        listed = elements(document, document.count(b",") + 1)
    except ValueError:
        return False
    found = object_members(document if listed is None else next(iter(listed), None))
    # no attribute may be named session_id
    return found.keys() >= {"specversion", "type"} and "session_id" not in found


def _is_structured(headers: Mapping[str, str]) -> bool:
    return media_type(headers) in TYPES


def read(parts: RequestParts) -> Batch:
    """Read the events of a request. Raises BadRequest for a body that has to be an event and is none, or TooLarge."""
    if BINARY_MARK in parts.headers and not _is_structured(parts.headers):
        return Batch([_from_headers(parts.headers, parts.body)], lambda value: _item(value, parts))
    body = parts.body.strip()
    listed = body_elements(body, parts.limits.max_events)
    if listed is None and body_members(body) is None:
        raise BadRequest("A CloudEvent is a JSON object.")
    return Batch([body] if listed is None else listed, lambda value: _item(value, parts))


def _item(value: bytes, parts: RequestParts) -> Item:
    return map_object(value, lambda sent: _mapped(value, given(sent), parts), parts.limits)


def _mapped(value: bytes, event: Members, parts: RequestParts) -> Mapped:
    category, name = split_type(event.get("type"))
    session_ids = (event.get("sessionid"), event.get("subject"), event.get("partitionkey"))
    return Mapped(
        session_id=first_identifier("session_id", session_ids),
        event_id=identifier("event_id", event.get("id")),
        category=category,
        name=name,
        timestamp=event.get("time") or quoted(from_millis(parts.received_at).isoformat()),
        data=_data(event),
        user_id=identifier("user_id", event.get("userid")),
        context={name: part for name, part in event.items() if name not in _SPOKEN_FOR},
        original=value,
    )


def _data(event: Members) -> bytes:
    data, encoded = event.get("data"), event.get("data_base64")
    if data is not None:
        return data if data.startswith(b"{") else joined({"data": data})
    if encoded is None:
        return b"{}"
    content_type = string(event.get("datacontenttype"))
    decoded = _decoded(string(encoded)) if content_type is None or _JSON_TYPE.match(content_type) else None
    return decoded or joined({"data_base64": encoded})


def _decoded(encoded: str | None) -> bytes | None:
    """Return the JSON object that is in base64, where some senders put it; None for anything else."""
    try:
        value = base64.b64decode(encoded or "", validate=True).strip()
        return value if members(value) is not None else None
    except ValueError:
        return None


def _from_headers(headers: Mapping[str, str], body: bytes) -> bytes:
    """Return the event of a request in binary mode as the JSON that structured mode has for it."""
    attributes = {
        name[len(_PREFIX) :].lower(): quoted(_header_text(value))
        for name, value in headers.items()
        if name.lower().startswith(_PREFIX)
    }
    content_type = headers.get("Content-Type")
    if content_type is not None:
        attributes["datacontenttype"] = quoted(_header_text(content_type))
    return joined(attributes | _body(body, content_type))


def _body(body: bytes, content_type: str | None) -> Members:
    """Return the data of a body: JSON where it is, else a text, else bytes."""
    if not body:
        return {}
    if content_type is None or _JSON_TYPE.match(content_type):
        try:
            members(body.strip())
            return {"data": body.strip()}
        except ValueError:
            pass
    try:
        return {"data": quoted(body.decode())}
    except UnicodeDecodeError:
        return {"data_base64": quoted(base64.b64encode(body).decode())}


def _header_text(value: str) -> str:
    """Return the text that a header stands for: percent-encoded UTF-8, or what senders make of it."""
    text = value.strip()
    if len(text) >= 2 and text[0] == text[-1] == '"':
        text = re.sub(r"\\(.)", r"\1", text[1:-1])
    sent = unquote_to_bytes(text.encode("utf-8", "surrogateescape"))
    try:
        return sent.decode()
    except UnicodeDecodeError:
        return sent.decode("latin-1")


_EXAMPLE = {
    "specversion": "1.0",
    "id": "9f5a1c1e-6c4e-4f2e-9d59-6a1a1b7c2d3e",
    "source": "/shop",
    "type": "page interaction.pageview",
    "time": "2021-01-01T09:15:27.243860Z",
    "sessionid": "e2085be5-9137-4e4e-80b5-f1ffddc25423",
    "data": {"host": "www.example.com", "path": "/"},
}
CONTENT = {
    "application/cloudevents+json": {"schema": {"type": "object"}, "example": _EXAMPLE},
    "application/cloudevents-batch+json": {
        "schema": {"type": "array", "items": {"type": "object"}},
        "example": [_EXAMPLE],
    },
}
"""The bodies of POST /events/ that are CloudEvents, for the gateway's description."""

TYPES = frozenset(CONTENT)
"""Media types of one CloudEvent and of a list of them."""

FORMAT = Format("cloudevents", (), read, finds_gzip=False)
"""It has no call of its own: it comes to POST /events/."""
