"""Events of PostHog become ours."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote

import pytest

from gateway.ingest.formats.posthog import answer_by_id, read
from gateway.ingest.results import Answer, Result, Status
from gateway.problems import BadRequest
from schemas.verdict import Code, Violation
from tests.unit.gateway.formats.parts import MOMENT, mapped, the_parts


def a_capture(**changes: Any) -> dict[str, Any]:
    return {
        "uuid": "01a203d2-4f6b-7b3c-9d7e-0f1a2b3c4d5e",
        "event": "order completed",
        "distinct_id": "user-1",
        "properties": {"total": 9.5, "$session_id": "s-1"},
        "timestamp": MOMENT,
    } | changes


def one(body: Any) -> dict[str, Any]:
    return mapped(read(the_parts(body, "/batch/")))[0]


def test_an_event_has_its_fields_where_ours_are() -> None:
    sent = a_capture(**{"$set": {"plan": "a"}})
    batch = read(the_parts({"api_key": "KEY", "batch": [sent], "sent_at": MOMENT}, "/batch/"))

    assert batch.key == "KEY"
    (event,) = mapped(batch)
    event.pop("sent_at", None)
    assert event == {
        "event_id": sent["uuid"],
        "session_id": "s-1",
        "user_id": "user-1",
        "category": "event",
        "name": "order completed",
        "timestamp": MOMENT,
        "data": sent["properties"],
        "context": {"$set": {"plan": "a"}, "original": sent},
    }


@pytest.mark.parametrize(
    ("changes", "session_id"),
    [
        ({}, "s-1"),
        ({"properties": {}}, "user-1"),
        ({"properties": {}, "session_id": "s-2"}, "s-2"),
        ({"properties": {"distinct_id": 5}, "distinct_id": None}, "5"),
        ({"properties": None, "distinct_id": None, "uuid": None}, "id-1"),
    ],
)
def test_a_session_is_the_first_id_that_is_there(changes: dict[str, Any], session_id: str) -> None:
    assert one(a_capture(**changes))["session_id"] == session_id


def test_a_category_is_the_propertys_if_it_has_one() -> None:
    assert one(a_capture(properties={"category": "shop"}))["category"] == "shop"
    assert one(a_capture(properties={"category": " "}))["category"] == "event"


def test_an_offset_tells_how_long_ago_it_was() -> None:
    assert one(a_capture(timestamp=None, offset=1500))["timestamp"] == "2021-01-01T09:15:28.500000Z"
    assert one(a_capture(timestamp=None, offset="x"))["timestamp"] == "2021-01-01T09:15:30Z"
    assert "sent_at" not in one({"batch": [a_capture(timestamp=None)], "sent_at": MOMENT})


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"api_key": "KEY", "batch": [a_capture()]}).encode(),
        json.dumps(a_capture(api_key="KEY")).encode(),
        json.dumps([a_capture(properties={"token": "KEY", "$session_id": "s-1"})]).encode(),
        json.dumps(a_capture(properties={"token": "KEY", "$session_id": "s-1"})).encode(),
        b"data=" + quote(base64.b64encode(json.dumps(a_capture(api_key="KEY")).encode())).encode(),
        b"data=" + quote(json.dumps([a_capture(api_key="KEY")])).encode() + b"&compression=base64",
    ],
)
def test_a_body_of_any_form_is_read_and_its_key_not_kept(body: bytes) -> None:
    batch = read(the_parts(body, "/capture/"))
    (event,) = mapped(batch)

    assert batch.key == "KEY"
    assert (event["name"], event["session_id"]) == ("order completed", "s-1")
    assert "KEY" not in json.dumps(event)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"5", b'{"batch": 5}', b"data=", b"data=%FF", b"data=e30x", b"data=" + b"&" * 20]
)
def test_a_body_of_no_form_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        read(the_parts(body, "/capture/"))


def test_the_newer_mode_has_a_directive_for_each_id() -> None:
    errors = [Violation(Code.TOO_LARGE, "$", "70000 bytes")]
    answer = Answer(
        1,
        3,
        [
            Result(index=0, event_id="a", status=Status.OK),
            Result(index=1, event_id="b", status=Status.TOO_LARGE, errors=errors),
            Result(index=2, event_id="c", status=Status.RETRY),
            Result(index=3, status=Status.INVALID),
        ],
    )

    assert json.loads(answer_by_id(the_parts(b""), answer).body)["results"] == {
        "a": {"result": "ok", "details": ""},
        "b": {"result": "drop", "details": "70000 bytes"},
        "c": {"result": "retry", "details": ""},
    }


def test_a_key_in_the_head_is_kept_in_no_event_of_a_batch() -> None:
    first, second = a_capture(), a_capture(properties={"token": "HEAD", "other": "OTHER"})
    parts = the_parts({"batch": [first, second]}, "/batch/", headers={"Authorization": "Bearer HEAD"})

    assert "HEAD" not in json.dumps(mapped(read(parts)))
