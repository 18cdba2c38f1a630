"""CloudEvents become events of ours, in each of their modes."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from multidict import CIMultiDict

from gateway.ingest.formats.cloudevents import is_in, is_named, read
from gateway.problems import BadRequest
from schemas.verdict import Accepted, Rejected
from tests.unit.gateway.formats.parts import MOMENT, mapped, the_parts, verdict

STRUCTURED = {"Content-Type": "application/cloudevents+json; charset=utf-8"}
BATCH = {"Content-Type": "application/cloudevents-batch+json"}


def an_event(**changes: Any) -> dict[str, Any]:
    """Return a CloudEvent as JSON; None leaves an attribute out."""
    event = {"specversion": "1.0", "id": "c-1", "source": "/shop", "type": "com.acme.order.placed", "time": MOMENT}
    fields = event | {"sessionid": "s-1", "data": {"total": 9.5}} | changes
    return {name: value for name, value in fields.items() if value is not None}


def one(**changes: Any) -> dict[str, Any]:
    return mapped(read(the_parts(an_event(**changes), "/events/", headers=STRUCTURED)))[0]


def in_headers(body: bytes, content_type: str | None = None, **attributes: str) -> dict[str, Any]:
    fields = an_event(data=None) | attributes
    headers = {f"ce-{name}": value for name, value in fields.items()}
    if content_type is not None:
        headers["Content-Type"] = content_type
    return mapped(read(the_parts(body, "/events/", headers=headers)))[0]


def test_a_structured_event_has_its_fields_where_ours_are() -> None:
    event = one(subject="o-1", userid="u-1", traceparent="00-1")

    assert (event["event_id"], event["session_id"], event["user_id"]) == ("c-1", "s-1", "u-1")
    assert (event["category"], event["name"]) == ("com.acme.order", "placed")
    assert (event["timestamp"], event["data"]) == (MOMENT, {"total": 9.5})
    original = event["context"].pop("original")
    assert original == an_event(subject="o-1", userid="u-1", traceparent="00-1")
    assert event["context"] == {
        "specversion": "1.0",
        "source": "/shop",
        "type": "com.acme.order.placed",
        "sessionid": "s-1",
        "subject": "o-1",
        "traceparent": "00-1",
    }


def test_subject_and_partitionkey_stand_in_for_the_session() -> None:
    assert one(sessionid=None, subject="o-1", partitionkey="p-1")["session_id"] == "o-1"
    assert one(sessionid=None, partitionkey="p-1")["session_id"] == "p-1"


@pytest.mark.parametrize(("sent", "category", "name"), [("placed", "placed", "placed"), ("a.", "a.", "a.")])
def test_a_type_without_a_dot_is_category_and_name(sent: str, category: str, name: str) -> None:
    event = one(type=sent)

    assert (event["category"], event["name"]) == (category, name)


def test_a_batch_has_its_events_in_order_and_each_for_itself() -> None:
    body = [an_event(id="1"), 7, an_event(id="2", sessionid=None), an_event(id="3")]

    items = read(the_parts(body, "/events/", headers=BATCH)).items()

    assert [item.event_id for item in items] == ["1", None, "2", "3"]
    codes = [[error.code for error in item.errors] for item in items]
    assert codes == [[], ["not_an_object"], ["missing_field"], []]


@pytest.mark.parametrize(
    ("body", "content_type", "data"),
    [
        (b'{"total": 9.5}', "application/json; charset=utf-8", {"total": 9.5}),
        (b'{"total": 9.5}', None, {"total": 9.5}),
        (b"[1, 2]", "application/vnd.acme+json", {"data": [1, 2]}),
        (b'{"a": 1}', "text/plain", {"data": '{"a": 1}'}),
        (b"hello", None, {"data": "hello"}),
        (b"\x89PNG\xff", "image/png", {"data_base64": base64.b64encode(b"\x89PNG\xff").decode()}),
        (b"", None, {}),
    ],
)
def test_a_binary_event_has_its_data_in_the_body(body: bytes, content_type: str | None, data: Any) -> None:
    event = in_headers(body, content_type)

    assert event["data"] == data
    assert (event["event_id"], event["category"], event["name"]) == ("c-1", "com.acme.order", "placed")
    assert event["context"]["original"]["source"] == "/shop"


@pytest.mark.parametrize("sent", ["caf%C3%A9 %22%25", "caf\udcc3\udca9 %22%25", "caf\udce9 %22%25", '"café \\"%25"'])
def test_headers_are_percent_decoded(sent: str) -> None:
    assert in_headers(b"", subject=sent)["context"]["subject"] == 'café "%'


@pytest.mark.parametrize(
    ("changes", "data"),
    [
        ({"data": "hello"}, {"data": "hello"}),
        ({"data": [1]}, {"data": [1]}),
        ({"data": None}, {}),
        ({"data": None, "data_base64": base64.b64encode(b'{"a": 1}').decode()}, {"a": 1}),
        ({"data": None, "data_base64": "AAH/"}, {"data_base64": "AAH/"}),
        ({"data": None, "data_base64": "no base64"}, {"data_base64": "no base64"}),
        ({"data": None, "data_base64": "e30=", "datacontenttype": "image/png"}, {"data_base64": "e30="}),
    ],
)
def test_data_that_is_no_object_becomes_one(changes: Any, data: Any) -> None:
    assert one(**changes)["data"] == data


def test_an_event_without_a_time_has_that_of_its_reception() -> None:
    assert one(time=None)["timestamp"] == "2021-01-01T09:15:30+00:00"


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"data": {"a": float("nan")}}, Rejected),
        ({"data": {"a": "\0"}}, Rejected),
        ({"data": {"a": "\ud800"}}, Rejected),
        ({"time": "yesterday"}, Rejected),
        ({"type": 7}, Rejected),
        ({"type": None}, Rejected),
        ({"data": {"a": 2**70}}, Accepted),
        ({"id": "\0"}, Rejected),
        ({"sessionid": "s" * 1000}, Accepted),
    ],
)
def test_hostile_values_get_a_verdict_of_the_stream(changes: Any, kind: type) -> None:
    items = read(the_parts(an_event(**changes), "/events/", headers=STRUCTURED)).items()

    assert items[0].errors == []
    assert isinstance(verdict(items[0]), kind)


def test_the_head_of_a_request_tells_cloudevents() -> None:
    assert is_named({"Content-Type": "application/CloudEvents+json; charset=utf-8"})
    assert is_named(BATCH)
    assert is_named(CIMultiDict({"CE-SpecVersion": "1.0", "Content-Type": "application/json"}))
    assert not is_named({"Content-Type": "application/json"})


def test_a_body_alone_tells_cloudevents() -> None:
    ours = {"session_id": "s-1", "category": "a", "name": "b", "data": {"specversion": "1.0", "type": "x"}}

    assert [is_in(json.dumps(body).encode()) for body in (an_event(), [an_event()])] == [True, True]
    assert [is_in(json.dumps(body).encode()) for body in (ours, [ours], [], {"events": [an_event()]})] == [False] * 4
    assert [is_in(body) for body in (b'"specversion"', b'{"specversion"', b"")] == [False] * 3


@pytest.mark.parametrize("body", [b"[", b"{", b"7", b""])
def test_a_body_that_is_no_event_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        read(the_parts(body, "/events/", headers=BATCH))
