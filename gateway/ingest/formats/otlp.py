"""OpenTelemetry's logs over HTTP (OTLP): a log record is an event; protobuf or JSON, answered alike.

Its type is its event name, or the attribute `event.name`, its id the attribute `event.id`, its session the attribute
`session.id` of the record or of its resource, else its trace.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from gateway.ingest.event_reader import Item
from gateway.ingest.formats.epoch import NANOS, from_epoch
from gateway.ingest.formats.event import Mapped, map_object, refused
from gateway.ingest.formats.event_type import split_type
from gateway.ingest.formats.format import Batch, Call, Format, Reply, RequestParts
from gateway.ingest.formats.json_slices import (
    Members,
    body_elements,
    body_members,
    first_identifier,
    given,
    identifier,
    joined,
    object_members,
    quoted,
    string,
)
from gateway.ingest.formats.otlp_answers import JSON, export_reply, status_reply
from gateway.ingest.formats.otlp_values import TooDeep, attributes, plain
from gateway.ingest.formats.otlp_wire import read_request, record_as_json
from gateway.ingest.json_scanner import text_of
from gateway.ingest.results import Answer
from gateway.problems import BadRequest, Problem, ProblemCode, TooLarge
from schemas.ids import uuid7
from schemas.record import from_millis
from schemas.verdict import Code

_EVENT_ID, _EVENT_NAME, _SESSION_ID, _USER_ID = "event.id", "event.name", "session.id", "user.id"
_SPOKEN_FOR = frozenset({_EVENT_ID, _EVENT_NAME, _SESSION_ID, _USER_ID})
"""The attributes that have a place of their own in our events."""

_OF_CONTEXT = {
    "severityNumber": "severity_number",
    "severityText": "severity_text",
    "traceId": "trace_id",
    "spanId": "span_id",
    "flags": "flags",
    "droppedAttributesCount": "dropped_attributes_count",
}
_PLAIN_LOG = quoted("log"), quoted("record")
"""The type of a log record that is no event."""

_LARGER = 4
"""OTLP's JSON of an event is at most so many times as long as ours."""

_MOST_SHARED = 8 * 1024
"""Most bytes of resource and scope that each record's context repeats: a short request must not become a long one."""


class _Shared(NamedTuple):
    """The common part of one scope's records: a part of their context, and the session of their resource."""

    context: Members
    session_id: bytes | None


class _Sent(NamedTuple):
    """A log record as it was sent, with its place in the request."""

    place: int
    record: bytes
    shared: _Shared


def is_json(parts: RequestParts) -> bool:
    """Tell whether a request is JSON, by its Content-Type or, where that is neither's, by its body."""
    content_type = parts.headers.get("Content-Type", "").lower()
    return "json" in content_type or ("protobuf" not in content_type and parts.body.lstrip().startswith(b"{"))


def read(parts: RequestParts) -> Batch:
    """Read an ExportLogsServiceRequest. Raises BadRequest or TooLarge."""
    in_json = is_json(parts)
    records = list((_read_json if in_json else _read_protobuf)(parts))
    made_from = hashlib.sha256(parts.body).digest()
    return Batch(records, lambda sent: _item(sent, made_from, parts, in_json=in_json))


def _read_json(parts: RequestParts) -> Iterator[_Sent]:
    index, limit = 0, parts.limits.max_events
    top = body_members(parts.body.strip())
    if top is None:
        raise BadRequest('A request is {"resourceLogs": [...]}.')
    for of_resource in map(object_members, _listed(top, "resourceLogs", limit)):
        resource = _short(object_members(of_resource.get("resource")).get("attributes"))
        for of_scope in map(object_members, _listed(of_resource, "scopeLogs", limit)):
            shared = _shared(resource, object_members(of_scope.get("scope")))
            for record in _listed(of_scope, "logRecords", limit):
                yield _Sent(_within(index, limit), record, shared)
                index += 1


def _read_protobuf(parts: RequestParts) -> Iterator[_Sent]:
    index = 0
    try:
        for of_scope in read_request(parts.body):
            shared = _shared(_short(of_scope.resource), object_members(of_scope.scope))
            for record in of_scope.records:
                yield _Sent(_within(index, parts.limits.max_events), record, shared)
                index += 1
    except ValueError as error:
        message = f"The body is no ExportLogsServiceRequest: {error}"
        raise BadRequest(message, code=ProblemCode.BAD_ENCODING) from None


def _listed(found: Members, name: str, limit: int) -> list[bytes]:
    """Return the elements of a member. Raises BadRequest where it is another value, TooLarge beyond the limit."""
    values = body_elements(found.get(name, b"[]"), limit)
    if values is None:
        raise BadRequest(f"{name} is a list.")
    return values


def _within(index: int, limit: int) -> int:
    if index >= limit:
        message = f"A request has at most {limit} log records: send more requests."
        raise TooLarge(message, code=ProblemCode.TOO_MANY_EVENTS)
    return index


def _shared(resource: Members, scope: Members) -> _Shared:
    described = {name: scope[name] for name in ("name", "version") if string(scope.get(name))}
    found = {"resource": resource, "scope": described | _short(scope.get("attributes"))}
    context = {name: joined(members) for name, members in found.items() if members}
    if sum(map(len, context.values())) > _MOST_SHARED:
        context = {}
    return _Shared(context, resource.get(_SESSION_ID))


def _short(value: bytes | None) -> Members:
    """Return attributes that many records have in common; none where they are too long, or too deep, for that."""
    if value is None or len(value) > _LARGER * _MOST_SHARED:
        return {}
    try:
        return attributes(value)
    except TooDeep:
        return {}


def _item(sent: _Sent, made_from: bytes, parts: RequestParts, *, in_json: bool) -> Item:
    most = _LARGER * parts.limits.max_event_bytes
    try:
        record = sent.record if in_json or len(sent.record) > most else record_as_json(sent.record)
        if len(record) > most:
            return refused(sent.record, Code.TOO_LARGE, f"{len(record)} bytes as OTLP's JSON; the limit is {most}")
        return map_object(record, lambda found: _mapped(record, given(found), sent, made_from, parts), parts.limits)
    except TooDeep as error:
        return refused(sent.record, Code.TOO_DEEP, str(error))
    except ValueError as error:
        return refused(sent.record, Code.NOT_JSON, f"no log record: {error}")


def _mapped(value: bytes, record: Members, sent: _Sent, made_from: bytes, parts: RequestParts) -> Mapped:
    found = attributes(record.get("attributes"))
    event_name = record.get("eventName") if string(record.get("eventName")) else found.get(_EVENT_NAME)
    category, name = _PLAIN_LOG if event_name is None else split_type(event_name)
    moment = _time(record, "timeUnixNano") or _time(record, "observedTimeUnixNano")
    session_ids = (found.get(_SESSION_ID), sent.shared.session_id, _trace_id(record))
    context = {ours: record[theirs] for theirs, ours in _OF_CONTEXT.items() if theirs in record}
    if "body" in record:
        context["body"] = plain(record["body"])
    return Mapped(
        session_id=first_identifier("session_id", session_ids),
        event_id=identifier("event_id", found.get(_EVENT_ID)) or _made_id(moment, made_from, sent.place),
        category=category,
        name=name,
        timestamp=quoted(from_epoch(moment, NANOS) if moment else from_millis(parts.received_at).isoformat()),
        data=joined({name: part for name, part in found.items() if name not in _SPOKEN_FOR}),
        user_id=identifier("user_id", found.get(_USER_ID)),
        context=sent.shared.context | context,
        original=value,
    )


def _time(record: Members, field: str) -> str | None:
    """Return nanoseconds since 1970, as text or number in JSON; none is 0."""
    value = record.get(field)
    text = None if value is None else string(value) or text_of(value)
    return None if text in ("", "0", '""') else text


def _trace_id(record: Members) -> bytes | None:
    text = string(record.get("traceId")) or ""
    return quoted(text.lower()) if text.strip("0") else None


def _made_id(moment: str | None, made_from: bytes, index: int) -> str | None:
    """Return the id of a record without one: the same whenever this request is sent again.

    A record without a time has none of these: nothing would tell it from the same one sent later.
    """
    if moment is None or not moment.isdecimal() or len(moment) > 20:
        return None
    random = hashlib.sha256(made_from + index.to_bytes(8, "big")).digest()
    return uuid7(int(moment) // 1_000_000, random)


def answer(parts: RequestParts, answer: Answer) -> Reply:
    """Answer with an ExportLogsServiceResponse, in the request's encoding."""
    return export_reply(answer, in_json=is_json(parts))


def problem_reply(headers: Mapping[str, str], problem: Problem) -> Reply:
    """Answer a request that is refused with a google.rpc.Status, in the encoding that its head names."""
    return status_reply(problem, in_json="protobuf" not in headers.get("Content-Type", "").lower())


_EXAMPLE = {
    "resourceLogs": [
        {
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
            "scopeLogs": [
                {
                    "logRecords": [
                        {
                            "timeUnixNano": "1609492527243860000",
                            "eventName": "shop.order.placed",
                            "attributes": [
                                {"key": "session.id", "value": {"stringValue": "e2085be5-9137-4e4e-80b5-f1ffddc25423"}},
                                {"key": "total", "value": {"doubleValue": 9.5}},
                            ],
                        }
                    ]
                }
            ],
        }
    ]
}

_SUMMARY = "OpenTelemetry: log records by OTLP, as JSON or protobuf (application/x-protobuf), answered alike"

FORMATS = (
    Format(
        "otlp",
        [Call("POST", ("/v1/logs", "/v1/logs/"), _SUMMARY, _EXAMPLE, types=(JSON,), refusals=JSON)],
        read,
        answer,
        problem=problem_reply,
    ),
)
