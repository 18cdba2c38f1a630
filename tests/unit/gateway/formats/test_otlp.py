"""Log records of OpenTelemetry become events of ours, from protobuf and from JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from gateway.ingest.formats.otlp import read
from gateway.problems import BadRequest, TooLarge
from schemas.verdict import Accepted, Rejected
from tests.unit.gateway.formats.parts import mapped, the_parts, verdict

NANOS = "1609492527243860123"
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
JSON, PROTOBUF = {"Content-Type": "application/json"}, {"Content-Type": "application/x-protobuf"}


def value(given: Any) -> dict[str, Any]:
    match given:
        case bool():
            return {"boolValue": given}
        case int():
            return {"intValue": str(given)}
        case float():
            return {"doubleValue": given}
        case list():
            return {"arrayValue": {"values": [value(each) for each in given]}}
        case dict():
            return {"kvlistValue": {"values": attributes(given)}}
    return {"stringValue": given}


def attributes(given: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": value(each)} for key, each in given.items()]


def a_record(found: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """Return a log record as OTLP's JSON; None leaves a field out."""
    given = {"event.id": "o-1", "session.id": "s-1", "total": 9.5} if found is None else found
    fields = {"timeUnixNano": NANOS, "eventName": "shop.order.placed", "attributes": attributes(given)} | changes
    return {name: each for name, each in fields.items() if each is not None}


def a_request(*records: Any, **resource: Any) -> dict[str, Any]:
    scope = {"scope": {"name": "shop", "version": "1"}, "logRecords": list(records)}
    return {"resourceLogs": [{"resource": {"attributes": attributes(resource)}, "scopeLogs": [scope]}]}


def as_protobuf(request: Any) -> bytes:
    """Return a request as an exporter would encode it."""
    document = json.loads(json.dumps(request).replace(TRACE, "S/kvNXezTaajzpKdDg5HNg==").replace(SPAN, "APBnqgupArc="))
    body: bytes = ParseDict(document, ExportLogsServiceRequest()).SerializeToString()
    return body


def parts_of(request: Any, headers: dict[str, str] = JSON) -> Any:
    body = as_protobuf(request) if headers is PROTOBUF else json.dumps(request).encode()
    return the_parts(body, "/v1/logs", headers=headers)


def one(request: Any, headers: dict[str, str] = JSON) -> dict[str, Any]:
    return mapped(read(parts_of(request, headers)))[0]


@pytest.mark.parametrize("headers", [JSON, PROTOBUF])
def test_a_log_record_has_its_fields_where_ours_are(headers: dict[str, str]) -> None:
    found = {"event.id": "o-1", "session.id": "s-1", "user.id": "u-1", "n": 2**40, "f": 9.5, "ok": True, "a": ["x", 1]}
    record = a_record(found | {"deep": {"b": {"c": "ü"}}}, body=value("placed"), severityNumber=9, traceId=TRACE)

    event = one(a_request(record, **{"service.name": "shop"}), headers)

    assert (event["event_id"], event["session_id"], event["user_id"]) == ("o-1", "s-1", "u-1")
    assert (event["category"], event["name"]) == ("shop.order", "placed")
    assert event["timestamp"] == "2021-01-01T09:15:27.243860+00:00"
    assert event["data"] == {"n": 2**40, "f": 9.5, "ok": True, "a": ["x", 1], "deep": {"b": {"c": "ü"}}}
    original = event["context"].pop("original")
    assert (original["timeUnixNano"], original["traceId"]) == (NANOS, TRACE)
    assert event["context"] == {
        "resource": {"service.name": "shop"},
        "scope": {"name": "shop", "version": "1"},
        "body": "placed",
        "severity_number": 9,
        "trace_id": TRACE,
    }


@pytest.mark.parametrize("headers", [JSON, PROTOBUF])
def test_the_trace_stands_in_for_the_session(headers: dict[str, str]) -> None:
    assert one(a_request(a_record({}, traceId=TRACE)), headers)["session_id"] == TRACE
    assert one(a_request(a_record({}, traceId=TRACE), **{"session.id": "r-1"}), headers)["session_id"] == "r-1"


def test_a_trace_is_the_same_session_however_it_is_written() -> None:
    assert one(a_request(a_record({}, traceId=TRACE.upper())))["session_id"] == TRACE


@pytest.mark.parametrize("headers", [JSON, PROTOBUF])
def test_a_record_without_a_session_is_refused_alone(headers: dict[str, str]) -> None:
    records = [a_record(), a_record({}, traceId="0" * 32), a_record({"event.id": "o-2", "session.id": "s-1"})]
    if headers is PROTOBUF:
        del records[1]["traceId"]

    items = read(parts_of(a_request(*records), headers)).items()

    assert [[error.path for error in item.errors] for item in items] == [[], ["$.session_id"], []]


def test_type_and_time_have_second_places() -> None:
    record = a_record({"session.id": "s", "event.name": "a.b"}, eventName=None, timeUnixNano="0")
    named = one(a_request(record | {"observedTimeUnixNano": NANOS}))
    plain = one(a_request(a_record({"session.id": "s"}, eventName=None, timeUnixNano=None)))

    assert (named["category"], named["name"], named["data"]) == ("a", "b", {})
    assert named["timestamp"] == "2021-01-01T09:15:27.243860+00:00"
    assert (plain["category"], plain["name"]) == ("log", "record")
    assert plain["timestamp"] == "2021-01-01T09:15:30+00:00"


def test_a_request_that_is_sent_again_has_the_same_ids() -> None:
    records = [a_record({"session.id": "s"}), a_record({"session.id": "s"})]
    first, again = (mapped(read(parts_of(a_request(*records), PROTOBUF))) for _ in range(2))
    timeless = one(a_request(a_record({"session.id": "s"}, timeUnixNano=None)))

    assert [event["event_id"] for event in first] == [event["event_id"] for event in again]
    assert len({event["event_id"] for event in first}) == 2
    assert "event_id" not in timeless


HOSTILE = [
    ({"a": float("nan")}, Rejected),
    ({"a": float("inf")}, Rejected),
    ({"a": "\0"}, Rejected),
    ({"a": {"b": ["\0"]}}, Rejected),
    ({"a": 2**62}, Accepted),
]


@pytest.mark.parametrize("headers", [JSON, PROTOBUF])
@pytest.mark.parametrize(("found", "kind"), HOSTILE)
def test_hostile_values_get_a_verdict_of_the_stream(found: Any, kind: type, headers: dict[str, str]) -> None:
    request = a_request(a_record(found | {"session.id": "s-1"}))
    if headers is PROTOBUF and found["a"] != found["a"]:
        request = json.loads(json.dumps(request).replace("NaN", '"NaN"'))
    elif headers is PROTOBUF:
        request = json.loads(json.dumps(request).replace(" Infinity", ' "Infinity"'))

    items = read(parts_of(request, headers)).items()

    assert items[0].errors == []
    assert isinstance(verdict(items[0]), kind)


@pytest.mark.parametrize("headers", [JSON, PROTOBUF])
def test_a_short_request_never_becomes_a_long_one(headers: dict[str, str]) -> None:
    request = a_request(*[a_record({})] * 1000, **{"session.id": "r-1", "large": "x" * 30_000})

    items = read(parts_of(request, headers)).items()

    assert {item.session_id for item in items} == {"r-1"}
    assert sum(len(item.value) for item in items) < 1000 * 1000


def test_numbers_of_javascript_and_texts_of_half_pairs_get_one_too() -> None:
    large = a_request(a_record({}, traceId=TRACE, attributes=[{"key": "a", "value": {"intValue": 2**70}}]))
    half = a_request(a_record({"session.id": "s", "a": "\ud800"}))

    assert one(large)["data"] == {"a": 2**70}
    assert isinstance(verdict(read(parts_of(half)).items()[0]), Rejected)


def test_a_text_that_is_no_utf8_costs_its_own_record_alone() -> None:
    body = as_protobuf(a_request(a_record(), a_record({"session.id": "s", "a": "XYZ"}), a_record()))

    items = read(the_parts(body.replace(b"XYZ", b"X\xff\xed"), "/v1/logs", headers=PROTOBUF)).items()

    assert [item.errors for item in items] == [[], [], []]
    assert [type(verdict(item)) for item in items] == [Accepted, Rejected, Accepted]


def test_a_record_that_is_broken_or_too_deep_costs_itself_alone() -> None:
    deep: Any = {"stringValue": "x"}
    for _ in range(250):
        deep = {"arrayValue": {"values": [deep]}}
    odd = [7, a_record(attributes=[{"key": "a", "value": deep}]), a_record(attributes=7, traceId=TRACE), a_record()]

    items = read(parts_of(a_request(*odd))).items()

    assert [[error.code for error in item.errors] for item in items] == [["not_an_object"], ["too_deep"], [], []]
    broken = as_protobuf(a_request(a_record({"session.id": "s", "a": "XYZ"}), a_record())).replace(
        b"\x0a\x03XYZ", b"\x0f\x03XYZ"
    )
    refused = read(the_parts(broken, "/v1/logs", headers=PROTOBUF)).items()
    assert [[error.code for error in item.errors] for item in refused] == [["not_json"], []]


@pytest.mark.parametrize(
    ("body", "headers"),
    [(b"{", JSON), (b"[]", JSON), (b'{"resourceLogs": 7}', JSON), (b"\xff\xff", PROTOBUF), (b"\x0a\x05a", PROTOBUF)],
)
def test_a_body_that_is_no_request_is_refused(body: bytes, headers: dict[str, str]) -> None:
    with pytest.raises(BadRequest):
        read(the_parts(body, "/v1/logs", headers=headers))


@pytest.mark.parametrize("headers", [JSON, PROTOBUF])
def test_too_many_records_are_refused(headers: dict[str, str]) -> None:
    with pytest.raises(TooLarge):
        read(parts_of(a_request(*[{}] * 5001), headers))


@pytest.mark.parametrize(("body", "headers"), [(b"", PROTOBUF), (b"{}", JSON), (b'{"resourceLogs": [7, {}]}', JSON)])
def test_a_request_may_have_no_record(body: bytes, headers: dict[str, str]) -> None:
    assert read(the_parts(body, "/v1/logs", headers=headers)).items() == []


@pytest.mark.parametrize("number", ["007", "-01", "00", "01.5"])
def test_a_number_that_is_none_of_json_stays_a_text(number: str) -> None:
    body = a_request(a_record({}, traceId=TRACE, attributes=[{"key": "a", "value": {"intValue": number}}]))

    assert one(body)["data"] == {"a": number}
