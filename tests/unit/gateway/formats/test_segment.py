"""Calls of Segment and RudderStack become our events."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.ingest.formats.segment import read_batch, read_call
from gateway.problems import BadRequest, TooLarge
from schemas.verdict import Accepted
from tests.unit.gateway.formats.parts import MOMENT, mapped, the_parts, verdict


def a_track(**changes: Any) -> dict[str, Any]:
    return {
        "type": "track",
        "messageId": "m-1",
        "anonymousId": "visitor-1",
        "userId": "user-1",
        "event": "Order Completed",
        "properties": {"total": 9.5},
        "timestamp": MOMENT,
    } | changes


def one(call: Any) -> dict[str, Any]:
    return mapped(read_batch(the_parts({"batch": [call]})))[0]


def test_a_call_has_its_fields_where_ours_are() -> None:
    sent = a_track(context={"library": {"name": "x"}}, integrations={"All": True})

    assert one(sent) == {
        "event_id": "m-1",
        "session_id": "visitor-1",
        "user_id": "user-1",
        "category": "track",
        "name": "Order Completed",
        "timestamp": MOMENT,
        "data": {"total": 9.5},
        "context": {
            "library": {"name": "x"},
            "type": "track",
            "anonymousId": "visitor-1",
            "integrations": {"All": True},
            "original": sent,
        },
    }


@pytest.mark.parametrize(
    ("changes", "session_id"),
    [
        ({"context": {"sessionId": "s-1"}}, "s-1"),
        ({"context": {"sessionId": 1700000000000}}, "1700000000000"),
        ({}, "visitor-1"),
        ({"anonymousId": None}, "user-1"),
        ({"anonymousId": "", "userId": 17}, "17"),
        ({"anonymousId": " ", "userId": None}, "m-1"),
        ({"anonymousId": None, "userId": None, "messageId": None}, "id-1"),
    ],
)
def test_a_session_is_the_first_id_that_is_there(changes: dict[str, Any], session_id: str) -> None:
    assert one(a_track(**changes))["session_id"] == session_id


@pytest.mark.parametrize(
    ("changes", "category", "name"),
    [
        ({}, "track", "Order Completed"),
        ({"properties": {"category": "shop"}}, "shop", "Order Completed"),
        ({"properties": {"category": 5}}, "track", "Order Completed"),
        ({"type": "page", "event": None, "name": "Home"}, "page", "Home"),
        ({"type": "page", "event": None}, "page", "page"),
        ({"type": "identify", "event": None, "traits": {"category": "vip"}, "properties": None}, "vip", "identify"),
        ({"type": None}, "track", "Order Completed"),
    ],
)
def test_category_and_name_are_the_payloads_or_the_calls(changes: dict[str, Any], category: str, name: str) -> None:
    event = one(a_track(**changes))

    assert (event["category"], event["name"]) == (category, name)


@pytest.mark.parametrize(
    ("changes", "data"),
    [
        ({"type": "identify", "traits": {"plan": "a"}, "properties": None}, {"plan": "a"}),
        ({"type": "identify", "context": {"traits": {"plan": "a"}}, "properties": None}, {"plan": "a"}),
        ({"type": "alias", "properties": None}, {}),
        ({"properties": []}, []),
    ],
)
def test_data_is_what_the_call_is_about(changes: dict[str, Any], data: Any) -> None:
    assert one(a_track(**changes))["data"] == data


def test_a_time_is_the_calls_or_its_arrival() -> None:
    original = a_track(originalTimestamp=MOMENT, timestamp=None)

    assert one(original)["timestamp"] == MOMENT
    assert one(a_track(timestamp=None))["timestamp"] == "2021-01-01T09:15:30Z"


@pytest.mark.parametrize(
    ("body", "sent_at"),
    [
        ({"batch": [a_track()], "sentAt": MOMENT}, MOMENT),
        ({"batch": [a_track(sentAt=MOMENT)], "sentAt": "2020-01-01T00:00:00Z"}, MOMENT),
        ({"batch": [a_track(sentAt="yesterday")]}, None),
        ({"batch": [a_track(sentAt=5)]}, None),
        ({"batch": [a_track(sentAt=MOMENT, timestamp=None)]}, None),
    ],
)
def test_the_senders_clock_is_kept_where_it_is_one(body: Any, sent_at: str | None) -> None:
    (item,) = read_batch(the_parts(body)).items()

    assert json.loads(item.value).get("sent_at") == sent_at
    assert isinstance(verdict(item), Accepted)


def test_an_id_of_200_characters_is_kept() -> None:
    (item,) = read_batch(the_parts({"batch": [a_track(messageId="m" * 200, anonymousId="a" * 200)]})).items()

    assert item.event_id == "m" * 200
    assert isinstance(verdict(item), Accepted)


def test_an_id_that_we_cannot_hold_becomes_another_always_the_same() -> None:
    odd = [one(a_track(messageId=value, userId=value)) for value in ("x" * 201, "x" * 201, "a\0b", "\ud800", {"a": 1})]

    ids = [event["event_id"] for event in odd]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 4
    assert ids[4] == '{"a": 1}'
    assert all(1 <= len(event["user_id"]) <= 128 for event in odd)


@pytest.mark.parametrize("path", ["/v1/page", "/v1/page/", "/v1/p"])
def test_the_path_names_a_call_that_stands_alone(path: str) -> None:
    sent = {"writeKey": "KEY", "messageId": "m-1", "userId": "u", "name": "Home", "sentAt": MOMENT}
    batch = read_call(the_parts(sent, path))

    (event,) = mapped(batch)
    assert (batch.key, event["category"], event["name"]) == ("KEY", "page", "Home")
    assert event["context"]["original"] == {name: value for name, value in sent.items() if name != "writeKey"}


def test_numbers_and_text_stay_as_they_were_sent() -> None:
    body = b'{"batch": [{"type":"track","event":"e","userId":"u","properties":{"n":1.50,"m":1180591620717411303424}}]}'
    (item,) = read_batch(the_parts(body)).items()

    assert b'"data":{"n":1.50,"m":1180591620717411303424}' in item.value
    assert isinstance(verdict(item), Accepted)


def test_white_space_and_a_byte_order_mark_mean_nothing() -> None:
    call = b'{ "event" : "e" , "userId" : null , "anonymousId" :  "a"  , "properties" : { } }'

    (event,) = mapped(read_batch(the_parts(b'\xef\xbb\xbf { "batch" : [ %b ] } \n' % call)))

    assert (event["session_id"], event["name"], event["data"]) == ("a", "e", {})
    assert "user_id" not in event


def test_what_is_no_call_costs_itself_alone() -> None:
    sent: list[Any] = [5, a_track(), None, [a_track()], "x", {}]
    statuses = [item.status for item in read_batch(the_parts({"batch": sent})).items()]

    assert statuses == ["invalid", "ok", "invalid", "invalid", "invalid", "ok"]


def test_the_original_goes_where_it_does_not_fit() -> None:
    long = a_track(properties={"x": "y" * 500})
    (item,) = read_batch(the_parts({"batch": [long]}, max_event_bytes=1000)).items()
    (huge,) = read_batch(the_parts({"batch": [long]}, max_event_bytes=500)).items()

    assert item.status == "ok"
    assert json.loads(item.value)["context"]["original_dropped"] == f"{len(json.dumps(long))} bytes"
    assert (huge.status, huge.event_id, [error.code for error in huge.errors]) == ("too_large", "m-1", ["too_large"])


def test_a_payload_as_deep_as_ours_may_be_is_accepted() -> None:
    deep: Any = {}
    for _ in range(61):
        deep = {"x": deep}
    (item,) = read_batch(the_parts({"batch": [a_track(properties=deep)]})).items()

    assert isinstance(verdict(item), Accepted)
    assert json.loads(item.value)["context"]["original_dropped"] == "nested too deep"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"5", b"{}", b'{"batch": {}}', b'{"batch": 5}'])
def test_a_body_without_a_batch_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        read_batch(the_parts(body))


def test_a_batch_may_not_be_too_long() -> None:
    with pytest.raises(TooLarge):
        read_batch(the_parts(b'{"batch":[%b]}' % b",".join([b"{}"] * 5001)))
