"""Snowplow's tracker protocol: a payload of a tracker is an event; the key is `aid`, its application's id.

A POST has `{"schema": ..., "data": [payload, ...]}`, a GET has one payload as its query. The values of a payload are
texts; what is nested is JSON in a text, in plain (`ue_pr`, `co`) or as base64 (`ue_px`, `cx`).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from http import HTTPStatus
from typing import NamedTuple

from aiohttp import hdrs

from gateway.access.authorization import presented_key
from gateway.ingest.event_reader import Item
from gateway.ingest.formats.epoch import MILLIS, from_epoch
from gateway.ingest.formats.event import Mapped, map_object, refused, sent_at
from gateway.ingest.formats.format import Batch, Call, Format, Reply, RequestParts, json_reply, post
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
    without,
)
from gateway.ingest.json_scanner import text_of
from gateway.ingest.results import Answer, Result, Status
from gateway.problems import BadRequest, Problem, problem_body, problem_headers
from schemas.record import from_millis
from schemas.verdict import Code, Violation

_KEY = "aid"
_NESTED = frozenset({"ue_pr", "ue_px", "co", "cx"})
_SPOKEN_FOR = frozenset({"e", "eid", "ttm", "dtm", "stm", "uid"}) | _NESTED
"""Fields that have a place of their own, whatever the event is."""


class _Kind(NamedTuple):
    """An event that Snowplow has fields for: its type, and the names and the beginning of its own fields."""

    category: str | None = None
    name: str | None = None
    fields: frozenset[str] = frozenset()
    prefix: str | None = None

    def has(self, field: str) -> bool:
        """Tell whether a field is one of the event's own."""
        return field in self.fields or (self.prefix is not None and field.startswith(self.prefix))


_PARAMETERS = {
    "aid": "The key, where no header has it.",
    "e": "What it is: pv (page view), pp (page ping), se (structured), ue (self-describing), tr, ti.",
    "eid": "The event's id.",
    "dtm": "Its time in milliseconds since 1970; `ttm` counts before it.",
    "sid": "Its session; else `duid`, else `uid`.",
}
_PAGE = frozenset({"url", "page", "refr"})
_KINDS = {
    "pv": _Kind("page", "view", _PAGE),
    "pp": _Kind("page", "ping", _PAGE | {"pp_mix", "pp_max", "pp_miy", "pp_may"}),
    "se": _Kind(prefix="se_"),
    "tr": _Kind("transaction", "transaction", prefix="tr_"),
    "ti": _Kind("transaction", "item", prefix="ti_"),
}
_UNKNOWN = _Kind()


class _Type(NamedTuple):
    """Category, name and data of an event, and what its context has of these."""

    category: bytes | None
    name: bytes | None
    data: bytes
    context: Members


def read_post(parts: RequestParts) -> Batch:
    """Read a body with a list of payloads under `data`. Raises BadRequest or TooLarge."""
    wrapper = body_members(parts.body.strip()) or {}
    payloads = body_elements(wrapper.get("data", b""), parts.limits.max_events)
    if payloads is None:
        raise BadRequest('A request of a tracker is {"schema": "...", "data": [...]}, with one event in each place.')
    return _batch(payloads, parts)


def read_get(parts: RequestParts) -> Batch:
    """Read the one payload of a query."""
    return _batch([joined({name: quoted(value) for name, value in parts.query.items() if name != "key"})], parts)


def _batch(payloads: list[bytes], parts: RequestParts) -> Batch:
    """Return the payloads, and the `aid` of the first as their key, unless they come with another one."""
    given_key = parts.query.get("key") or presented_key(parts.headers)
    if given_key is not None:
        return Batch(payloads, lambda value: _item(value, given_key, parts))
    key = string(object_members(payloads[0]).get(_KEY)) if payloads else None
    return Batch(payloads, lambda value: _item(value, key or "", parts, is_first=True), key)


def _item(value: bytes, key: str, parts: RequestParts, *, is_first: bool = False) -> Item:
    """Map one payload, without the key in it; `is_first`: the key is the `aid` of the first, and of this one too."""
    if is_first and value.startswith(b"{") and string(object_members(value).get(_KEY)) != key:
        return refused(value, Code.BAD_VALUE, "aid is the key, and not that of the request's first event", "$.aid")
    return map_object(value, lambda sent: _mapped(value, sent, key, parts), parts.limits)


def _mapped(value: bytes, sent: Members, key: str, parts: RequestParts) -> Mapped:
    is_key = string(sent.get(_KEY)) == key
    event = {name: part for name, part in given(sent).items() if name != _KEY or not is_key}
    code = string(event.get("e")) or ""
    kind = _KINDS.get(code, _UNKNOWN)
    context = {name: part for name, part in event.items() if name not in _SPOKEN_FOR and not kind.has(name)}
    contexts = _nested(event, "co", "cx")
    entities = object_members(contexts).get("data", contexts)
    if entities is not None:
        context["contexts"] = entities
    found = _self_describing(object_members(_nested(event, "ue_pr", "ue_px"))) if code == "ue" else _own(event, kind)
    session_ids = (event.get("sid"), event.get("duid"), event.get("uid"), _session_of(entities))
    moment = _time(event, "ttm") or _time(event, "dtm")
    return Mapped(
        session_id=first_identifier("session_id", session_ids),
        event_id=identifier("event_id", event.get("eid")),
        category=found.category,
        name=found.name,
        timestamp=quoted(moment or from_millis(parts.received_at).isoformat()),
        data=found.data,
        user_id=identifier("user_id", event.get("uid")),
        sent_at=None if "ttm" in event or moment is None else sent_at(_time(event, "stm")),
        context=context | found.context,
        original=without(value, sent, _KEY) if is_key else value,
    )


def _own(event: Members, kind: _Kind) -> _Type:
    data = joined({name: part for name, part in event.items() if kind.has(name)})
    if kind is _KINDS["se"]:
        return _Type(event.get("se_ca"), event.get("se_ac"), data, {})
    if kind.category is None or kind.name is None:
        return _Type(quoted("snowplow"), event.get("e"), data, {})
    return _Type(quoted(kind.category), quoted(kind.name), data, {})


def _self_describing(envelope: Members) -> _Type:
    """Return what the event inside of `unstruct_event` says: its schema is iglu:VENDOR/NAME/FORMAT/VERSION."""
    inner = object_members(envelope.get("data"))
    data, schema = inner.get("data", b"{}"), string(inner.get("schema"))
    if schema is None:
        return _Type(None, None, data, {})
    context = {"schema": inner["schema"]}
    parts = [quoted(part) for part in schema.removeprefix("iglu:").split("/")]
    if len(parts) != 4:
        return _Type(None, None, data, context)
    return _Type(parts[0], parts[1], data, context | {"version": parts[3]})


def _session_of(entities: bytes | None) -> bytes | None:
    """Return the session of a mobile tracker, which has it in a context alone."""
    if entities is None or b"/client_session/" not in entities:
        return None
    try:
        listed = elements(entities, len(entities)) or ()
    except ValueError:
        return None
    for found in map(object_members, listed):
        if "/client_session/" in (string(found.get("schema")) or ""):
            return object_members(found.get("data")).get("sessionId")
    return None


def _time(event: Members, field: str) -> str | None:
    """Return a time, which is milliseconds since 1970 in a text or as a number."""
    value = event.get(field)
    if value is None or value == b'""':
        return None
    text = string(value)
    return from_epoch(text_of(value) if text is None else text, MILLIS)


def _nested(event: Members, plain: str, encoded: str) -> bytes | None:
    """Return the JSON of a field that is there in plain or in base64; None where there is none, or none to be read."""
    text, digits = string(event.get(plain)), string(event.get(encoded))
    try:
        value = (_base64(digits) if digits else (text or "").encode("utf-8", "surrogatepass")).strip()
        members(value)
    except ValueError:
        return None
    return value


def _base64(text: str) -> bytes:
    """Decode base64 of either alphabet, with padding or without. Raises ValueError."""
    digits = text.strip().rstrip("=").replace("-", "+").replace("_", "/")
    return base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True)


def answer_with_pixel(_: RequestParts, answer: Answer) -> Reply:
    """Answer with an image of one pixel, which pages of old load; what became of the event is in a header."""
    verdict = answer.results[0].status if answer.results else Status.OK
    return Reply(_PIXEL, content_type="image/gif", headers={"Cache-Control": "no-store", "Eye-Status": verdict})


def problem_reply(_: Mapping[str, str], problem: Problem) -> Reply:
    """Answer a request that is refused. Trackers send again for ever what is not 2xx, 400, 401, 403, 410 or 422."""
    problem.members.setdefault("message", problem.detail)
    match problem.status:
        case HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            result = Result(index=0, status=Status.TOO_LARGE, errors=[Violation(Code.TOO_LARGE, "$", problem.detail)])
            return json_reply(Answer(0, 1, [result]), code=problem.code, message=problem.detail)
        case HTTPStatus.TOO_MANY_REQUESTS:
            problem.status = HTTPStatus.SERVICE_UNAVAILABLE
        case HTTPStatus.UNSUPPORTED_MEDIA_TYPE:
            problem.status = HTTPStatus.BAD_REQUEST
    headers = problem_headers(problem)
    return Reply(problem_body(problem), problem.status, headers.pop(hdrs.CONTENT_TYPE), headers)


_PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")

_EXAMPLE = {
    "schema": "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4",
    "data": [
        {
            "e": "se",
            "se_ca": "shop",
            "se_ac": "add to basket",
            "eid": "9f5a1c1e-6c4e-4f2e-9d59-6a1a1b7c2d3e",
            "dtm": "1609492527243",
            "duid": "e2085be5-9137-4e4e-80b5-f1ffddc25423",
            "aid": "KEY",
        }
    ],
}
_OF_QUERY = "Snowplow: one event of a tracker, in the query"

FORMATS = (
    Format(
        "snowplow",
        [post("/com.snowplowanalytics.snowplow/tp2", "Snowplow: events of a tracker", example=_EXAMPLE)],
        read_post,
        problem=problem_reply,
        credentials=True,
    ),
    Format(
        "snowplow pixel",
        [Call("GET", ("/i",), _OF_QUERY, parameters=_PARAMETERS, answers="image/gif")],
        read_get,
        answer_with_pixel,
        problem=problem_reply,
        credentials=True,
    ),
)
