"""Judging: every code with its path, every violation at once, and a verdict for any bytes."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import BeforeValidator, ConfigDict

from schemas.catalogue import Catalogue, EventType
from schemas.event import MAX_TEXT
from schemas.ids import source_id
from schemas.json_reader import MAX_DEPTH
from schemas.judge import _accept, judge
from schemas.payload import Payload
from schemas.record import Record, open_envelope
from schemas.rules import Rules
from schemas.verdict import Accepted, Code, Rejected, Verdict, decode_accepted, decode_rejected, encode
from schemas.violations import MAX_VIOLATIONS, collect_violations
from tests.support.builders import CTA_CLICK, OCCURRED, RECEIVED, SUBMIT, a_raw_record, an_event, the_rules

RULES = the_rules()
ANY_TYPE = the_rules(unknown_event_types="accept")


def broken(verdict: Verdict) -> list[tuple[str, str]]:
    """Return code and path of each violation."""
    assert isinstance(verdict, Rejected)
    return [(error.code.value, error.path) for error in verdict.errors]


def judge_event(event: Any, rules: Rules = RULES) -> Verdict:
    return judge(a_raw_record(event), rules)


def slowly(value: bytes) -> Verdict:
    """Judge a value by the way that lists every violation."""
    return collect_violations(value, open_envelope(a_raw_record(value=value)), RULES)


def without(field: str) -> dict[str, Any]:
    return {name: value for name, value in an_event().items() if name != field}


def a_payload(**data: Any) -> dict[str, Any]:
    return an_event(data={"host": "www.example.com", "path": "/"} | data)


def a_form(form: Any) -> dict[str, Any]:
    return an_event(**SUBMIT, data={"host": "www.example.com", "path": "/", "form": form})


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
        (an_event(event_id="x" * 129), "bad_value", "$.event_id"),
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


def test_how_far_ahead_and_behind_a_timestamp_may_be_is_a_setting() -> None:
    rules = the_rules(max_future_seconds=5.0, max_age_seconds=10.0)

    def judged(seconds: float) -> Verdict:
        return judge_event(an_event(timestamp=(RECEIVED + timedelta(seconds=seconds)).isoformat()), rules)

    assert [type(judged(seconds)) for seconds in (5, -10)] == [Accepted, Accepted]
    assert broken(judged(5.000001)) == [("future_timestamp", "$.timestamp")]
    assert broken(judged(-10.000001)) == [("too_old", "$.timestamp")]


def test_any_age_is_accepted_by_default() -> None:
    assert isinstance(judge_event(an_event(timestamp="0001-01-01T00:00:00Z")), Accepted)


def test_a_foreign_record_is_judged_by_its_offset_and_timestamp() -> None:
    accepted = judge(a_raw_record(headers=[], offset=7), RULES)

    assert isinstance(accepted, Accepted)
    assert accepted.event_id == source_id("events.raw:0:7")
    assert accepted.application == "unknown"
    assert accepted.received_at == RECEIVED


def test_an_unknown_type_is_accepted_where_the_settings_say_so() -> None:
    event = an_event(category="dance", name="step", data={"anything": [1, None]}, schema_version=3)

    accepted = judge_event(event, ANY_TYPE)

    assert isinstance(accepted, Accepted)
    assert (accepted.category, accepted.name, accepted.schema_version) == ("dance", "step", 3)
    assert json.loads(bytes(accepted.data)) == {"anything": [1, None]}


def test_a_known_type_keeps_its_rules_where_unknown_ones_are_accepted() -> None:
    assert broken(judge_event(a_payload(host=5), ANY_TYPE)) == [("wrong_type", "$.data.host")]
    assert broken(judge_event(an_event(data=[], name="dance"), ANY_TYPE)) == [("wrong_type", "$.data")]


@pytest.mark.parametrize("version", [2**31, 2**70])
def test_an_unknown_types_version_must_fit_its_column(version: int) -> None:
    event = an_event(name="dance", schema_version=version)

    assert broken(judge_event(event, ANY_TYPE)) == [("bad_value", "$.schema_version")]


class Moody(Payload, category="test", name="moody"):
    """A type with a bug in its rules."""

    mood: str

    def model_post_init(self, _: Any) -> None:
        raise RuntimeError(f"can't stand {self.mood}")


def test_a_bug_in_a_rule_costs_its_own_events_alone() -> None:
    rules = Rules(Catalogue([EventType("test", "moody", 1, Moody)]))

    rejected = judge_event(an_event(category="test", name="moody", data={"mood": "blue"}), rules)

    assert isinstance(rejected, Rejected)
    [violation] = rejected.errors
    assert (violation.code, violation.path) == (Code.VALIDATOR_ERROR, "$.data")
    assert violation.message == "the rules of test / moody failed: RuntimeError: can't stand blue"


class Picky(Payload, category="test", name="picky"):
    """A type whose older version knows less."""

    mood: str


class Pickier(Picky, category="test", name="picky", version=2):
    """Its newer version."""

    reason: str


def test_an_event_is_held_against_the_version_it_names_or_the_latest() -> None:
    types = [EventType("test", "picky", 1, Picky), EventType("test", "picky", 2, Pickier)]
    rules = Rules(Catalogue(types))
    event = an_event(category="test", name="picky", data={"mood": "blue"})

    first = judge_event(event | {"schema_version": 1}, rules)

    assert isinstance(first, Accepted)
    assert first.schema_version == 1
    assert broken(judge_event(event, rules)) == [("missing_field", "$.data.reason")]
    assert broken(judge_event(event | {"schema_version": None}, rules)) == [("missing_field", "$.data.reason")]


def test_a_payload_is_passed_on_byte_for_byte_as_sent() -> None:
    data = b'{ "path":"\\u002f",\n"host" : "www.example.com"}'
    value = json.dumps(an_event(data=0)).encode().replace(b'"data": 0', b'"data":' + data)

    accepted = judge(a_raw_record(value=value), RULES)

    assert isinstance(accepted, Accepted)
    assert bytes(accepted.data) == data
    assert bytes(decode_accepted(encode(accepted)).data) == data


# any bytes

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=5,
)
sendable = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
numbers = st.builds(
    lambda first, digits, fraction, exponent: (
        first + "1" * digits + ("." + "1" * fraction if fraction else "") + exponent
    ),
    st.sampled_from(["1", "-9"]),
    st.integers(0, 420),
    st.integers(0, 420),
    st.just("") | st.integers(-450, 450).map("e{}".format) | st.sampled_from(["E+99", "e-0099", "e999999"]),
)
fields = {name: st.just(value) | anything for name, value in an_event().items()}
events = st.fixed_dictionaries(
    {}, optional=fields | {"event_id": anything, "schema_version": anything, "odd": anything}
)


def unstorable(document: Any) -> list[Any]:
    """Return what of a document Postgres can't hold."""
    match document:
        case str():
            return [] if storable(document) else [document]
        case float():
            return [] if math.isfinite(document) else [document]
        case dict():
            return unstorable([*document.keys(), *document.values()])
        case list():
            return [found for item in document for found in unstorable(item)]
    return []


def storable(text: str) -> bool:
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


def check_whole(record: Record, rules: Rules) -> None:
    """Hold what is promised for any record against its verdict."""
    verdict = judge(record, rules)
    encoded = encode(verdict)

    assert unstorable(json.loads(encoded)) == []
    match verdict:
        case Accepted():
            assert decode_accepted(encoded) == verdict
        case Rejected():
            assert decode_rejected(encoded) == verdict
            assert verdict.errors
            assert len({error.path for error in verdict.errors}) == len(verdict.errors)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_get_a_verdict_that_can_be_stored(value: bytes) -> None:
    check_whole(a_raw_record(value=value), RULES)


@settings(max_examples=60, deadline=None)
@given(events)
def test_anything_like_an_event_gets_a_verdict_that_can_be_stored(event: dict[str, Any]) -> None:
    check_whole(a_raw_record(event), ANY_TYPE)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 250), st.binary(max_size=3))
def test_an_event_damaged_anywhere_gets_a_verdict_that_can_be_stored(at: int, damage: bytes) -> None:
    value = json.dumps(an_event(event_id="e", schema_version=1)).encode()

    check_whole(a_raw_record(value=value[:at] + damage + value[at + len(damage) :]), RULES)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["event_id", "application", "received_at", "x"]), st.binary(max_size=150))),
    st.none() | st.binary(max_size=5),
    st.integers(-1, 4_102_444_800_000),
)
@example([("received_at", b"9" * 30), ("event_id", b"\xff\0")], None, 0)
@example([("received_at", b"253402300799999")], b"s-1", 0)
def test_any_envelope_gets_a_verdict_that_can_be_stored(
    headers: list[tuple[str, bytes]], key: bytes | None, timestamp: int
) -> None:
    check_whole(replace(a_raw_record(headers=headers, key=key), timestamp=timestamp), RULES)


# the fast pass and the slow look


def test_the_fast_pass_takes_what_senders_usually_send() -> None:
    usual = [an_event(), a_form({"q": "é", "n": [1, -2.5e10, None, True]}), an_event(event_id="e", schema_version=1)]

    assert all(both(a_raw_record(event), RULES)[0] is not None for event in usual)


def both(record: Record, rules: Rules) -> tuple[Accepted | None, Verdict]:
    assert record.value is not None
    envelope = open_envelope(record)
    return _accept(record.value, envelope, rules), collect_violations(record.value, envelope, rules)


@settings(max_examples=50, deadline=None)
@given(
    st.dictionaries(st.text(max_size=5), sendable, max_size=3),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=5),
    st.sampled_from(["2021-01-01 09:15:27", "2021-01-01T09:15:27.2438Z", "0001-01-01T00:00:00+01:00", "20210101T09"]),
    st.sampled_from([0, 1, 2, 3]),
)
def test_what_the_fast_pass_takes_is_what_the_slow_look_accepts(
    form: dict[str, Any], session_id: str, timestamp: str, indent: int
) -> None:
    event = a_form(form) | {"session_id": session_id, "timestamp": timestamp}
    value = json.dumps(event, indent=indent or None, ensure_ascii=indent < 2).encode(errors="surrogatepass")

    fast, slow = both(a_raw_record(value=value, key=session_id.encode()), RULES)

    if fast is not None:
        assert fast == slow
        assert bytes(fast.data) in value
        assert json.loads(bytes(fast.data)) == event["data"]


@settings(max_examples=60, deadline=None)
@given(numbers)
@example("1" * 250 + "e60")
@example("1" * 300)
@example("1." + "1" * 250 + "e-99")
@example("0e-500")
@example("0e500")
@example("0.0E+500")
def test_both_agree_which_numbers_can_be_stored(number: str) -> None:
    value = json.dumps(a_form({"n": "?"})).replace('"?"', number).encode()

    fast, slow = both(a_raw_record(value=value), RULES)

    assert fast in (None, slow)


class Lax(Payload, category="test", name="lax"):
    """A type whose configuration takes numbers for texts."""

    model_config = ConfigDict(strict=False, coerce_numbers_to_str=True)

    text: str


class Converting(Payload, category="test", name="lax"):
    """A type whose rule takes anything for a text."""

    text: Annotated[str, BeforeValidator(str)]


@pytest.mark.parametrize("number", ["5", "1e400", "0e500", "1" * 310, "1e-401", "-1e400"])
@pytest.mark.parametrize("model", [Lax, Converting])
def test_both_agree_on_numbers_that_a_type_takes_for_texts(model: type[Payload], number: str) -> None:
    rules = Rules(Catalogue([EventType("test", "lax", 1, model)]))
    event = json.dumps(an_event(category="test", name="lax", data={"text": "?"}))

    fast, slow = both(a_raw_record(value=event.replace('"?"', number).encode()), rules)

    assert fast in (None, slow)


@pytest.mark.parametrize(
    "data",
    [
        '{"host": "h", "host": 5, "path": "/"}',
        '{"host": 5, "host": "h", "path": "/"}',
        '{"\\u0068ost": "h", "path": "/"}',
        '{"host": "\\ud83d\\ude00", "path": "/"}',
        '{"host": "😀\x7f", "path": "\\/"}',
    ],
)
def test_both_agree_on_repeated_and_escaped_names(data: str) -> None:
    value = json.dumps(an_event(data="?")).replace('"?"', data).encode()

    fast, slow = both(a_raw_record(value=value), RULES)

    assert fast is None or fast == slow
    if isinstance(slow, Accepted):
        assert bytes(slow.data) == data.encode()


# no clock


def test_a_record_is_judged_alike_however_often_and_by_whom() -> None:
    records = [a_raw_record(), a_raw_record(an_event(name="dance")), a_raw_record(value=b"\xff"), a_raw_record({})]
    future = a_raw_record(an_event(timestamp="2999-01-01T00:00:00Z"))

    first = [encode(judge(record, RULES)) for record in [*records, future]]
    again = [encode(judge(record, the_rules())) for record in [*records, future]]

    assert first == again
    assert broken(decode_rejected(first[-1])) == [("future_timestamp", "$.timestamp")]


def test_a_timestamp_is_compared_with_received_at_not_the_clock() -> None:
    received = RECEIVED.replace(year=2998)
    record = a_raw_record(an_event(timestamp=received.isoformat()), received_at=received)

    assert isinstance(judge(record, RULES), Accepted)
