"""Lenient JSON: read as senders write it, each place that can't be stored named by its path."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.json_reader import MAX_DIGITS, MAX_EXPONENT, MAX_WORDS, Violations, json_path, loads, read_at, sanitize
from schemas.verdict import Code


def faults(text: str) -> list[str]:
    found = Violations()
    sanitize(loads(text), (), found)
    return list(found)


@pytest.mark.parametrize(
    ("location", "path"),
    [
        ((), "$"),
        (("data", "items", 0), "$.data.items[0]"),
        (("a b",), "$['a b']"),
        (("",), "$['']"),
        (("it's",), "$['it\\'s']"),
        (('"', "\\"), "$['\"']['\\\\']"),
        (("a.b", "_1", "1"), "$['a.b']._1['1']"),
        (("é", "\n", "\0", "\ud800"), "$['\\u00e9']['\\n']['\\u0000']['\\ud800']"),
    ],
)
def test_a_location_is_written_as_json_path(location: tuple[str | int, ...], path: str) -> None:
    assert json_path(location) == path


def test_a_long_path_is_cut_and_shows_it() -> None:
    path = json_path(("x" * 10_000,))

    assert len(path) == MAX_WORDS
    assert path.endswith("…")


@pytest.mark.parametrize(
    "number", ["9" * MAX_DIGITS, "1.7e308", "-1.7e308", f"1e-{MAX_EXPONENT}", "0.1", "-0", "5e-324"]
)
def test_a_number_within_a_double_can_be_stored(number: str) -> None:
    assert faults(f"[{number}]") == []


@pytest.mark.parametrize(
    "number",
    ["9" * (MAX_DIGITS + 1), "1e309", "-1e309", "1e-401", "1e999999", "1e-999999", f"1e{'9' * 30}", "NaN", "Infinity",
     "-Infinity", "0." + "0" * 400 + "1"],
)  # fmt: skip
def test_a_number_beyond_a_double_is_named(number: str) -> None:
    assert faults(f'{{"a": [0, {number}]}}') == ["$.a[1]"]


def test_what_cannot_be_stored_is_replaced() -> None:
    found = Violations()

    value = sanitize({"a\0": ["half \ud800", float("nan"), {"b": "\0"}], "c": 1}, (), found)

    assert value == {"a\ufffd": ["half ?", 0, {"b": "\ufffd"}], "c": 1}
    assert {violation.code for violation in found.values()} == {Code.BAD_VALUE}


def test_a_whole_pair_of_surrogates_is_a_character() -> None:
    assert faults('"\\ud83d\\ude00"') == []


def test_the_first_finding_at_a_path_stands() -> None:
    found = Violations()

    found.add(Code.WRONG_TYPE, ("a",), "first")
    found.add(Code.BAD_VALUE, ("a",), "second")

    assert [(violation.code, violation.message) for violation in found.values()] == [(Code.WRONG_TYPE, "first")]


def test_a_message_can_be_stored_whatever_it_says() -> None:
    found = Violations()

    found.add(Code.BAD_VALUE, (), "nul \0 half \ud800" + "x" * 10_000)

    [violation] = found.values()
    assert violation.message.startswith("nul \ufffd half ?xxx")
    assert len(violation.message) == MAX_WORDS


def test_a_value_is_read_where_it_begins_and_its_end_is_told() -> None:
    assert read_at('x {"a": [1]} y', 2) == ({"a": [1]}, 12)


documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=50, deadline=None)
@given(documents)
def test_what_can_be_stored_is_read_as_it_is(document: Any) -> None:
    found = Violations()

    value = sanitize(loads(json.dumps(document)), (), found)

    if "\\u0000" not in json.dumps(document):
        assert (value, list(found)) == (document, [])
