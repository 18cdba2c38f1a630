"""Judging: every code with its path, every violation at once, and a verdict for any bytes."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest

from schemas.event import MAX_TEXT
from schemas.json_reader import MAX_DEPTH
from schemas.judge import judge
from schemas.record import open_envelope
from schemas.session_clocks import FirstEventDecides
from schemas.verdict import Accepted, Rejected, Verdict, encode
from schemas.violations import MAX_VIOLATIONS, collect_violations
from tests.support.builders import CTA_CLICK, OCCURRED, RECEIVED, a_raw_record, an_event, the_rules
from tests.unit.schemas.judging import RULES, a_form, a_payload, broken, judge_event


def slowly(value: bytes) -> Verdict:
    """Judge a value by the way that lists every violation."""
    return collect_violations(value, open_envelope(a_raw_record(value=value)), RULES, FirstEventDecides(None))


def without(field: str) -> dict[str, Any]:
    return {name: value for name, value in an_event().items() if name != field}


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth - 1):
        value = [value]
    return value


def test_an_event_that_keeps_every_rule_is_accepted_with_all_it_says() -> None:
    accepted = judge_event(an_event())

    assert isinstance(accepted, Accepted)
    assert (accepted.event_id, accepted.application, accepted.session_id) == ("e-1", "shop", "s-1")
    assert (accepted.category, accepted.name, accepted.schema_version) == ("page interaction", "pageview", 1)
    assert (accepted.occurred_at, accepted.received_at) == (OCCURRED, RECEIVED)


def test_user_and_context_are_kept_as_they_were_sent() -> None:
    value = json.dumps(an_event(user_id="u-1", context={"page": {"depth": 1.50}}), indent=1).encode()

    for verdict in (judge(a_raw_record(value=value), RULES), slowly(value)):
        assert isinstance(verdict, Accepted)
        stored = json.loads(encode(verdict))
        assert (stored["user_id"], stored["context"]) == ("u-1", {"page": {"depth": 1.5}})


def test_an_event_without_user_and_context_says_nothing_of_them() -> None:
    nothing = judge_event(an_event(user_id=None, context=None)), judge_event(an_event())

    assert [{"user_id", "context"} & json.loads(encode(verdict)).keys() for verdict in nothing] == [set(), set()]


@pytest.mark.parametrize(
    ("fields", "violation"),
    [
        ({"user_id": 7}, ("wrong_type", "$.user_id")),
        ({"user_id": ""}, ("bad_value", "$.user_id")),
        ({"user_id": " "}, ("bad_value", "$.user_id")),
        ({"user_id": "u" * 129}, ("bad_value", "$.user_id")),
        ({"context": "web"}, ("wrong_type", "$.context")),
        ({"context": [1]}, ("wrong_type", "$.context")),
        ({"context": {"a": math.nan}}, ("bad_value", "$.context.a")),
        ({"context": {"a": "\0"}}, ("bad_value", "$.context.a")),
        ({"context": {"a": 2**2000}}, ("bad_value", "$.context.a")),
    ],
)
def test_a_bad_user_or_context_is_rejected(fields: dict[str, Any], violation: tuple[str, str]) -> None:
    assert broken(judge_event(an_event(**fields))) == [violation]


@pytest.mark.parametrize(
    "value", [b"", b"{", b"nope", b"{}x", b"\xff{}", b"{'a': 1}", b'{"a": "\x01"}', b"[1,]", b"01"]
)
def test_what_is_no_json_is_not_json(value: bytes) -> None:
    assert broken(judge(a_raw_record(value=value), RULES)) == [("not_json", "$")]


def test_a_tombstone_is_not_json() -> None:
    assert broken(judge(replace(a_raw_record(), value=None), RULES)) == [("not_json", "$")]


@pytest.mark.parametrize("value", [b"[]", b'"x"', b"5", b"null", b"true", b'[{"session_id": "s-1"}]'])
def test_json_that_is_no_object_is_not_an_object(value: bytes) -> None:
    assert broken(judge(a_raw_record(value=value), RULES)) == [("not_an_object", "$")]


@pytest.mark.parametrize("value", [b"NaN", b"-Infinity", b'"\\ud800"', b'["\\u0000"]'])
def test_json_that_is_no_object_is_nothing_else_beside(value: bytes) -> None:
    assert broken(judge(a_raw_record(value=value), RULES)) == [("not_an_object", "$")]


@pytest.mark.parametrize("field", ["session_id", "category", "name", "timestamp", "data"])
def test_a_field_that_is_not_there_is_missing(field: str) -> None:
    found = broken(judge_event(without(field)))

    assert ("missing_field", f"$.{field}") in found
    assert len(found) == 1


@pytest.mark.parametrize(
    ("event", "code", "path"),
    [
        (an_event(session_id=5), "wrong_type", "$.session_id"),
        (an_event(session_id=None), "wrong_type", "$.session_id"),
        (an_event(category=["page"]), "wrong_type", "$.category"),
        (an_event(name=None), "wrong_type", "$.name"),
        (an_event(timestamp=1_609_492_527), "wrong_type", "$.timestamp"),
        (an_event(timestamp=None), "wrong_type", "$.timestamp"),
        (an_event(data=[]), "wrong_type", "$.data"),
        (an_event(data="{}"), "wrong_type", "$.data"),
        (an_event(data=None), "wrong_type", "$.data"),
        (an_event(event_id=5), "wrong_type", "$.event_id"),
        (an_event(schema_version="1"), "wrong_type", "$.schema_version"),
        (an_event(schema_version=1.0), "wrong_type", "$.schema_version"),
        (an_event(schema_version=True), "wrong_type", "$.schema_version"),
        (a_payload(host=5), "wrong_type", "$.data.host"),
        (a_payload(host=None), "wrong_type", "$.data.host"),
        (a_form([]), "wrong_type", "$.data.form"),
        (an_event(session_id=""), "bad_value", "$.session_id"),
        (an_event(session_id="x" * 129), "bad_value", "$.session_id"),
        (an_event(session_id="another"), "bad_value", "$.session_id"),
        (an_event(event_id=""), "bad_value", "$.event_id"),
        (an_event(event_id="x" * 201), "bad_value", "$.event_id"),
        (an_event(schema_version=2), "bad_value", "$.schema_version"),
        (an_event(schema_version=0), "bad_value", "$.schema_version"),
        (an_event(schema_version=2**70), "bad_value", "$.schema_version"),
        (a_payload(path="a\0b"), "bad_value", "$.data.path"),
        (a_payload(path="half \ud800"), "bad_value", "$.data.path"),
        (a_form({"n": math.nan}), "bad_value", "$.data.form.n"),
        (a_form({"n": [1, math.inf]}), "bad_value", "$.data.form.n[1]"),
        (a_form({"n": 10**309}), "bad_value", "$.data.form.n"),
        (a_form({"\0": 1}), "bad_value", "$.data.form['\\u0000']"),
        (an_event(colour="red"), "unknown_field", "$.colour"),
        (a_payload(colour="red"), "unknown_field", "$.data.colour"),
        (a_payload(**{"odd key": 1}), "unknown_field", "$.data['odd key']"),
        (a_payload(**{"it's": 1}), "unknown_field", "$.data['it\\'s']"),
        (a_payload(**{'"': 1}), "unknown_field", "$.data['\"']"),
        (a_payload(**{"a.b": 1}), "unknown_field", "$.data['a.b']"),
        (an_event(name="dance"), "unknown_event_type", "$.name"),
        (an_event(category="dance"), "unknown_event_type", "$.name"),
        (an_event(timestamp="yesterday"), "bad_timestamp", "$.timestamp"),
        (an_event(timestamp=""), "bad_timestamp", "$.timestamp"),
        (an_event(timestamp="2021-01-01T09:16:31Z"), "future_timestamp", "$.timestamp"),
        (a_payload(path="x" * 70_000), "too_large", "$"),
        (a_form({"a": nested(MAX_DEPTH - 2)}), "too_deep", "$.data.form.a" + "[0]" * (MAX_DEPTH - 3)),
    ],
)  # fmt: skip
def test_a_broken_rule_is_named_by_code_and_path(event: Any, code: str, path: str) -> None:
    assert (code, path) in broken(judge_event(event))


def test_the_fields_that_name_an_event_may_be_as_long_as_the_limit() -> None:
    longest = "é" * MAX_TEXT
    record = a_raw_record(an_event(session_id=longest, event_id=longest), key=longest.encode())

    assert isinstance(judge(record, RULES), Accepted)


def test_nesting_up_to_the_limit_is_accepted() -> None:
    assert isinstance(judge_event(a_form({"a": nested(MAX_DEPTH - 3)})), Accepted)


@pytest.mark.parametrize("value", [b"[" * 9_000 + b"]" * 9_000, b'{"a":' * 9_000 + b"1" + b"}" * 9_000, b"[" * 9_000])
def test_nesting_beyond_any_reader_is_too_deep(value: bytes) -> None:
    assert broken(judge(a_raw_record(value=value), RULES)) == [("too_deep", "$")]


def test_every_violation_is_listed_at_once() -> None:
    event = {
        "session_id": "another", **CTA_CLICK, "timestamp": "yesterday", "event_id": "", "schema_version": "1",
        "data": {"path": 5, "element": "\0", "colour": math.nan}, "colour": "red",
    }  # fmt: skip

    assert sorted(broken(judge_event(event)), key=lambda found: found[1]) == [
        ("unknown_field", "$.colour"),
        ("bad_value", "$.data.colour"),
        ("bad_value", "$.data.element"),
        ("missing_field", "$.data.host"),
        ("wrong_type", "$.data.path"),
        ("bad_value", "$.event_id"),
        ("wrong_type", "$.schema_version"),
        ("bad_value", "$.session_id"),
        ("bad_timestamp", "$.timestamp"),
    ]


def test_an_empty_object_lacks_every_field_that_is_required() -> None:
    assert broken(judge_event({})) == [
        ("missing_field", f"$.{field}") for field in ("session_id", "category", "name", "timestamp", "data")
    ]


def test_hostile_input_is_listed_up_to_a_limit() -> None:
    rejected = judge_event(an_event(**{f"k{number}": 1 for number in range(2 * MAX_VIOLATIONS)}))

    assert len(broken(rejected)) == MAX_VIOLATIONS


def test_a_rejected_event_keeps_readable_fields_and_all_its_bytes() -> None:
    event = an_event(name="dance", timestamp="yesterday")

    rejected = judge_event(event)

    assert isinstance(rejected, Rejected)
    assert (rejected.event_id, rejected.application, rejected.received_at) == ("e-1", "shop", RECEIVED)
    assert (rejected.session_id, rejected.category, rejected.name) == ("s-1", "page interaction", "dance")
    assert rejected.timestamp == "yesterday"
    assert json.loads(rejected.raw) == event
    assert rejected.codes == ["bad_timestamp", "unknown_event_type"]


@pytest.mark.parametrize("session_id", [5, "", "x" * 129, "another", "nul \0", "half \udc00"])
def test_a_session_that_a_record_does_not_belong_to_is_not_named(session_id: Any) -> None:
    rejected = judge_event(an_event(session_id=session_id))

    assert isinstance(rejected, Rejected)
    assert rejected.session_id is None


def test_a_record_without_a_key_belongs_to_no_session() -> None:
    assert broken(judge(a_raw_record(key=None), RULES)) == [("bad_value", "$.session_id")]


def test_an_event_beyond_the_limit_is_cut_and_says_so() -> None:
    rejected = judge(a_raw_record(), the_rules(max_event_bytes=20))

    assert isinstance(rejected, Rejected)
    assert broken(rejected) == [("too_large", "$")]
    assert rejected.raw == '{"session_id": "s-1"'
    assert rejected.raw_truncated


def test_bytes_that_are_no_text_are_kept_as_base64() -> None:
    rejected = judge(a_raw_record(value=b"\xff\0"), RULES)

    assert isinstance(rejected, Rejected)
    assert (rejected.raw, rejected.raw_encoding) == ("/wA=", "base64")
