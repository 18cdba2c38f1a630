"""Events of Snowplow's trackers become ours."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from gateway.ingest.formats.snowplow import read_get, read_post
from gateway.problems import BadRequest
from schemas.verdict import Accepted, Rejected
from tests.unit.gateway.formats.parts import mapped, the_parts, verdict

EID = "9f5a1c1e-6c4e-4f2e-9d59-6a1a1b7c2d3e"
MILLIS = "1609492527243"
POST = "/com.snowplowanalytics.snowplow/tp2"


def a_payload(**changes: Any) -> dict[str, Any]:
    """Return a structured event as a tracker sends it; None leaves a field out."""
    event = {"e": "se", "eid": EID, "dtm": MILLIS, "tv": "py-1.1.0", "p": "web", "aid": "KEY", "duid": "d-1"}
    fields = event | {"se_ca": "shop", "se_ac": "add", "se_va": "9.5"} | changes
    return {name: value for name, value in fields.items() if value is not None}


def wrapped(*payloads: Any) -> dict[str, Any]:
    return {"schema": "iglu:com.snowplowanalytics.snowplow/payload_data/jsonschema/1-0-4", "data": list(payloads)}


def one(**changes: Any) -> dict[str, Any]:
    return mapped(read_post(the_parts(wrapped(a_payload(**changes)), POST)))[0]


def self_describing(schema: str, data: Any) -> str:
    return json.dumps({"schema": "iglu:x/unstruct_event/jsonschema/1-0-0", "data": {"schema": schema, "data": data}})


def test_a_structured_event_has_its_fields_where_ours_are() -> None:
    event = one(sid="s-1", uid="u-1")

    assert event["event_id"] == EID
    assert (event["session_id"], event["user_id"]) == ("s-1", "u-1")
    assert (event["category"], event["name"]) == ("shop", "add")
    assert event["timestamp"] == "2021-01-01T09:15:27.243000+00:00"
    assert event["data"] == {"se_ca": "shop", "se_ac": "add", "se_va": "9.5"}
    assert event["context"]["p"] == "web"
    assert event["context"]["original"]["se_va"] == "9.5"


def test_the_true_time_wins_and_ids_stand_in_for_the_session() -> None:
    assert one(ttm="1609492527000", uid="u-1")["timestamp"] == "2021-01-01T09:15:27+00:00"
    assert one(uid="u-1")["session_id"] == "d-1"
    assert one(duid=None, uid="u-1")["session_id"] == "u-1"


@pytest.mark.parametrize(
    ("changes", "category", "name", "data"),
    [
        ({"e": "pv", "url": "https://x", "page": "X"}, "page", "view", {"url": "https://x", "page": "X"}),
        ({"e": "pp", "url": "https://x", "pp_may": "7"}, "page", "ping", {"url": "https://x", "pp_may": "7"}),
        ({"e": "tr", "tr_id": "5"}, "transaction", "transaction", {"tr_id": "5"}),
        ({"e": "ti", "ti_id": "5"}, "transaction", "item", {"ti_id": "5"}),
        ({"e": "zz"}, "snowplow", "zz", {}),
    ],
)
def test_other_events_are_named_by_what_they_are(changes: Any, category: str, name: str, data: Any) -> None:
    event = one(**changes)

    assert (event["category"], event["name"], event["data"]) == (category, name, data)


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode, None])
def test_a_self_describing_event_is_named_by_its_schema(encode: Any) -> None:
    text = self_describing("iglu:com.acme/order_placed/jsonschema/2-0-1", {"total": 9.5, "ü?>": None})
    field = {"ue_pr": text} if encode is None else {"ue_px": encode(text.encode()).decode().rstrip("=")}

    event = one(e="ue", **field)

    assert (event["category"], event["name"]) == ("com.acme", "order_placed")
    assert event["data"] == {"total": 9.5, "ü?>": None}
    assert event["context"]["version"] == "2-0-1"


def test_contexts_are_in_the_context_and_a_mobile_session_in_them() -> None:
    session = {"schema": "iglu:com.snowplowanalytics.snowplow/client_session/jsonschema/1-0-2"}
    entities = [{"schema": "iglu:a/b/jsonschema/1-0-0", "data": {"c": 1}}, session | {"data": {"sessionId": "m-1"}}]
    text = json.dumps({"schema": "iglu:x/contexts/jsonschema/1-0-0", "data": entities})

    event = one(duid=None, cx=base64.b64encode(text.encode()).decode())

    assert event["context"]["contexts"] == entities
    assert event["session_id"] == "m-1"


def test_the_key_of_an_application_is_kept_nowhere() -> None:
    parts = the_parts(wrapped(a_payload()), POST)

    batch = read_post(parts)

    assert batch.key == "KEY"
    assert b"KEY" not in batch.items()[0].value


def test_an_application_id_beside_a_key_is_context() -> None:
    batch = read_post(the_parts(wrapped(a_payload(aid="my app")), POST, headers={"X-API-Key": "KEY"}))

    assert batch.key is None
    assert mapped(batch)[0]["context"]["aid"] == "my app"
    both = read_post(the_parts(wrapped(a_payload()), POST, headers={"X-API-Key": "KEY"}))
    assert b"KEY" not in both.items()[0].value


def test_an_event_with_another_key_is_refused_alone() -> None:
    items = read_post(the_parts(wrapped(a_payload(), a_payload(aid="OTHER"), a_payload()), POST)).items()

    assert [[error.path for error in item.errors] for item in items] == [[], ["$.aid"], []]


def test_what_is_no_event_costs_itself_alone() -> None:
    items = read_post(the_parts(wrapped(a_payload(), 7, a_payload(duid=None), a_payload()), POST)).items()

    assert [[(error.code, error.path) for error in item.errors] for item in items] == [
        [],
        [("not_an_object", "$")],
        [("missing_field", "$.session_id")],
        [],
    ]


def test_a_get_has_one_event_in_its_query() -> None:
    batch = read_get(the_parts(b"", "/i", query=a_payload(e="pv", url="https://x")))

    assert batch.key == "KEY"
    assert mapped(batch)[0]["data"] == {"url": "https://x"}


@pytest.mark.parametrize(
    "changes",
    [
        {"dtm": "now"},
        {"dtm": "9" * 400},
        {"dtm": {"a": 1}},
        {"dtm": "1e999999"},
        {"se_ca": None},
        {"e": None},
        {"e": ["se"]},
        {"se_va": "\0"},
        {"se_va": "\ud800"},
        {"se_va": float("nan")},
        {"e": "ue", "ue_pr": "{"},
        {"e": "ue", "ue_px": "%%%"},
        {"e": "ue", "ue_pr": self_describing("iglu:a/b/jsonschema/1-0-0", float("nan"))},
        {"e": "ue", "ue_pr": self_describing("no schema", {})},
        {"e": "ue", "ue_pr": self_describing("iglu:a/\ud800/jsonschema/1-0-0", {})},
    ],
)
def test_what_nobody_can_read_is_rejected_by_the_stream(changes: Any) -> None:
    items = read_post(the_parts(wrapped(a_payload(**changes)), POST)).items()

    assert items[0].errors == []
    assert isinstance(verdict(items[0]), Rejected)


def test_numbers_in_place_of_texts_are_taken() -> None:
    items = read_post(the_parts(wrapped(a_payload(dtm=int(MILLIS), duid=5, se_va=2**70)), POST)).items()

    assert isinstance(verdict(items[0]), Accepted)
    assert items[0].session_id == "5"


@pytest.mark.parametrize("body", [b"", b"{}", b"7", b'{"data": 7}', b"{"])
def test_a_body_that_is_no_trackers_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        read_post(the_parts(body, POST))
