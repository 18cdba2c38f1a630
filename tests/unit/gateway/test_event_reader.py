"""Bodies become events: every form, every oddity, each event's bytes as sent."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.ingest.event_reader import ParsedBody, Reader
from gateway.ingest.results import Status
from gateway.problems import BadRequest, Problem, ProblemCode, TooLarge

READER = Reader(max_events=10, max_event_bytes=2_000)
EVENT = b'{"session_id": "s-1",  "data": {"path":"/"}}'


def statuses(parsed: ParsedBody) -> list[Status]:
    return [item.status for item in parsed.items]


def codes(parsed: ParsedBody) -> list[list[tuple[str, str]]]:
    return [[(error.code.value, error.path) for error in item.errors] for item in parsed.items]


def test_one_object_is_one_event() -> None:
    parsed = READER.read(EVENT)

    assert [item.value for item in parsed.items] == [EVENT]
    assert parsed.items[0].session_id == "s-1"
    assert parsed.single


@pytest.mark.parametrize(
    "body",
    [
        b"[%s,\n %s ]" % (EVENT, EVENT),
        b'{"events": [%s , %s], "sent_at": "2021-01-01T00:00:00Z"}' % (EVENT, EVENT),
        b'{"sent_at": null, "events": [%s,%s]}\n' % (EVENT, EVENT),
        b"\xef\xbb\xbf  [%s,%s]\r\n" % (EVENT, EVENT),
    ],
)
def test_a_list_of_either_form_keeps_the_bytes_of_each_event(body: bytes) -> None:
    parsed = READER.read(body)

    assert [item.value for item in parsed.items] == [EVENT, EVENT]
    assert not parsed.single


def test_lines_are_events_for_themselves_and_empty_ones_are_none() -> None:
    parsed = READER.read_lines(b"%s\r\n\n  \nno json\n[1]\n%s" % (EVENT, EVENT))

    assert statuses(parsed) == [Status.OK, Status.INVALID, Status.INVALID, Status.OK]
    assert codes(parsed)[1:3] == [[("not_json", "$")], [("not_an_object", "$")]]
    assert parsed.items[3].value == EVENT


def test_an_object_with_events_and_a_session_is_one_event() -> None:
    assert READER.read(b'{"session_id": "s", "events": [1, 2]}').single
    assert codes(READER.read(b'{"session_id": 5, "events": [1, 2]}')) == [[("wrong_type", "$.session_id")]]


def test_events_that_are_no_array_make_no_list() -> None:
    assert codes(READER.read(b'{"events": {"session_id": "s"}}')) == [[("missing_field", "$.session_id")]]


@pytest.mark.parametrize("body", [b"", b" ", b"x", b"{", b"[1,", b'{"a":1} x', b"[1] ]", b"[,]", b"\xff\xfe", b"{,}"])
def test_a_body_that_is_no_json_is_refused_whole(body: bytes) -> None:
    with pytest.raises(BadRequest) as refused:
        READER.read(body)

    assert refused.value.code is ProblemCode.NOT_JSON


def test_what_cannot_be_routed_costs_itself_alone() -> None:
    items: list[Any] = [{"session_id": "s"}, 5, None, "x", [], {}, {"session_id": ""}, {"session_id": None}]

    parsed = READER.read(json.dumps(items).encode())

    assert statuses(parsed) == [Status.OK] + [Status.INVALID] * 7
    assert codes(parsed)[1:] == [
        [("not_an_object", "$")],
        [("not_an_object", "$")],
        [("not_an_object", "$")],
        [("not_an_object", "$")],
        [("missing_field", "$.session_id")],
        [("bad_value", "$.session_id")],
        [("wrong_type", "$.session_id")],
    ]


@pytest.mark.parametrize("session_id", ["x" * 129, "a\0b", "\ud800", ["s"], 7, True])
def test_a_session_id_that_cannot_be_stored_is_invalid(session_id: Any) -> None:
    parsed = READER.read(json.dumps({"session_id": session_id, "event_id": "mine"}).encode())

    assert statuses(parsed) == [Status.INVALID]
    assert parsed.items[0].event_id == "mine"


@pytest.mark.parametrize("event_id", ["", "x" * 129, "a\0b", "\udfff", ["s"], 7, False])
def test_an_event_id_that_cannot_be_stored_is_invalid(event_id: Any) -> None:
    parsed = READER.read(json.dumps({"session_id": "s", "event_id": event_id}).encode())

    assert statuses(parsed) == [Status.INVALID]
    assert parsed.items[0].event_id is None


@pytest.mark.parametrize("text", ["ü" * 128, "😀" * 128, " a "])
def test_ids_are_measured_in_characters(text: str) -> None:
    parsed = READER.read(json.dumps({"session_id": text, "event_id": text}, ensure_ascii=False).encode())

    assert (parsed.items[0].session_id, parsed.items[0].event_id) == (text, text)


def test_an_event_id_of_null_is_none_given() -> None:
    assert READER.read(b'{"session_id": "s", "event_id": null}').items[0].event_id is None


ODD_VALUES = [
    b"NaN",
    b"-Infinity",
    b'"\\ud800"',
    b'"\\u0000"',
    b'"\xff\xfe"',
    b"9" * 400,
    b"1e999999",
    b"[" * 80 + b"]" * 80,
    b"[" * 900 + b"]" * 900,
    b'"a" , "session_id": "s-1"',
]


@pytest.mark.parametrize("value", ODD_VALUES)
def test_odd_values_in_the_payload_are_left_to_the_stream(value: bytes) -> None:
    odd = b'{"session_id": "s-1", "data": %s}' % value

    for body in (odd, b"[%s, %s]" % (odd, EVENT), b'{"events":[%s,%s]}' % (odd, EVENT)):
        parsed = READER.read(body)
        assert set(statuses(parsed)) == {Status.OK}
        assert parsed.items[0].value == odd
        assert parsed.items[0].session_id == "s-1"


def test_nesting_beyond_any_reader_is_still_delimited_and_routed() -> None:
    reader = Reader(max_events=3, max_event_bytes=1_000_000)
    deep = b'{"a": "]\\"", "data": ' + b'[{"x":' * 50_000 + b"1" + b"}]" * 50_000 + b', "session_id": "s-1"}'

    parsed = reader.read(b"[%s,%s]" % (deep, EVENT))

    assert [item.value for item in parsed.items] == [deep, EVENT]
    assert statuses(parsed) == [Status.OK, Status.OK]


def test_a_session_id_nested_beyond_any_reader_is_of_the_wrong_type() -> None:
    reader = Reader(max_events=3, max_event_bytes=1_000_000)

    parsed = reader.read(b'{"session_id": ' + b"[" * 5_000 + b"]" * 5_000 + b"}")

    assert codes(parsed) == [[("wrong_type", "$.session_id")]]


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":' * 50_000, b"[" * 2_000 + b'"\\"' * 200_000])
def test_nesting_without_an_end_is_no_json(body: bytes) -> None:
    with pytest.raises(BadRequest):
        READER.read(body)


def test_an_object_of_endless_members_is_no_event() -> None:
    body = b'{"session_id": "s"' + b',"a":NaN' * 300_000 + b"}"

    with pytest.raises(BadRequest):
        READER.read(body)


def test_an_event_above_the_limit_costs_itself_alone_and_keeps_its_id() -> None:
    large = json.dumps({"session_id": "s", "event_id": "mine", "data": "x" * 2_000}).encode()

    parsed = READER.read(b"[%s,%s]" % (large, EVENT))

    assert statuses(parsed) == [Status.TOO_LARGE, Status.OK]
    assert codes(parsed)[0] == [("too_large", "$")]
    assert parsed.items[0].event_id == "mine"


def test_an_event_of_exactly_the_limit_is_taken() -> None:
    body = EVENT[:-1] + b" " * (2_000 - len(EVENT)) + b"}"

    assert statuses(READER.read(body)) == [Status.OK]
    assert statuses(READER.read(body[:-1] + b" }")) == [Status.TOO_LARGE]


@pytest.mark.parametrize("commas", [11, 5_000])
def test_more_events_than_the_limit_are_refused(commas: int) -> None:
    bodies = [b"[" + b"0," * commas + b"0]", b'{"events":[' + b"0," * commas + b"0]}"]

    for body in bodies:
        with pytest.raises(TooLarge) as refused:
            READER.read(body)
        assert refused.value.code is ProblemCode.TOO_MANY_EVENTS


def test_more_lines_than_the_limit_are_refused() -> None:
    assert len(READER.read_lines(b"1\n\n" * 10).items) == 10
    with pytest.raises(TooLarge):
        READER.read_lines(b"1\n" * 11)


def test_a_list_without_events_is_empty() -> None:
    assert READER.read(b"[]").items == READER.read(b'{"events": []}').items == READER.read_lines(b"\n").items == []


@given(st.binary())
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    for read in (READER.read, READER.read_lines):
        try:
            parsed = read(body)
        except Problem:
            continue
        assert all(item.errors for item in parsed.items if item.status is not Status.OK)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(st.characters()),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(), children, max_size=3),
    max_leaves=5,
)


@settings(max_examples=40)
@given(st.lists(json_values, max_size=10), st.booleans(), st.sampled_from([None, 1]))
def test_any_list_is_split_into_the_bytes_of_its_elements(values: list[Any], ascii_only: bool, indent: int) -> None:
    parts = [
        json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode("utf-8", "surrogatepass") for value in values
    ]

    parsed = READER.read(b"[ " + b" ,\n".join(parts) + b" ]")

    assert [item.value for item in parsed.items] == parts


@pytest.mark.parametrize("field", ["session_id", "event_id"])
@pytest.mark.parametrize("blank", [" ", "\t \n", "\u00a0\u3000"])
def test_an_identifier_of_blanks_only_is_invalid(field: str, blank: str) -> None:
    parsed = READER.read(json.dumps({"session_id": "s", "event_id": "e", field: blank}).encode())

    assert [(error.code, error.path) for error in parsed.items[0].errors] == [("bad_value", f"$.{field}")]
