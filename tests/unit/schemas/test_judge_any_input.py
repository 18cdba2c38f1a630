"""Judging any input: each gets a verdict that can be stored, and the fast pass agrees with the slow look."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Annotated, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import BeforeValidator, ConfigDict

from schemas.catalogue import Catalogue, EventType
from schemas.judge import _accept, judge
from schemas.payload import Payload
from schemas.record import Record, open_envelope
from schemas.rules import Rules
from schemas.session_clocks import FirstEventDecides
from schemas.verdict import Accepted, Rejected, Verdict, decode_accepted, decode_rejected, encode
from schemas.violations import collect_violations
from tests.support.builders import a_raw_record, an_event
from tests.unit.schemas.judging import ANY_TYPE, RULES, a_form, anything, fields

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
    clocks = FirstEventDecides(rules.clock_skew)
    return _accept(record.value, envelope, rules, clocks), collect_violations(record.value, envelope, rules, clocks)


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
