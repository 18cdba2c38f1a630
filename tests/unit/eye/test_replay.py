"""Records that a selection takes, and their form in a file."""

from __future__ import annotations

from typing import Any

import pytest

from eye.runs.selection import RAW, REJECTED, SESSIONS, VALIDATED, Selection
from schemas.record import Record, open_envelope
from stream.verdict_records import verdict_record
from tests.support.builders import a_raw_record, a_rejected, after, an_accepted, an_event
from tests.unit.sinks.test_binary_builders import MOMENT, a_session_record


def as_published(verdict: Any) -> Record:
    raw = a_raw_record()
    key, value, headers = verdict_record(raw, open_envelope(raw), verdict, b"events.raw:0:")
    return Record("events.validated", 0, 0, 0, key, value, headers)


PAGEVIEW = {"category": "page interaction", "name": "pageview"}


@pytest.mark.parametrize(
    ("condition", "taken"),
    [
        ({}, True),
        ({"session": "s-1"}, True),
        ({"session": "s-2"}, False),
        ({"application": "shop"}, True),
        ({"application": "blog"}, False),
        (PAGEVIEW, True),
        (PAGEVIEW | {"name": "dance"}, False),
        ({"category": "form interaction"}, False),
        ({"from_time": after(0)}, True),
        ({"from_time": after(1)}, False),
        ({"to_time": after(0)}, False),
        ({"to_time": after(1)}, True),
        ({"session": "s-1", "application": "blog"}, False),
    ],
    ids=str,
)
def test_a_record_is_taken_when_every_condition_is_met(condition: dict[str, Any], taken: bool) -> None:
    assert Selection((RAW,), **condition).matches(a_raw_record(), RAW) is taken
    assert Selection((VALIDATED,), **condition).matches(as_published(an_accepted()), VALIDATED) is taken


def test_a_rejected_event_is_taken_by_what_could_be_read_of_it() -> None:
    record = as_published(a_rejected(session_id=None))

    assert Selection((REJECTED,), application="shop").matches(record, REJECTED)
    assert not Selection((REJECTED,), session="s-1").matches(record, REJECTED)
    assert not Selection((REJECTED,), name="pageview").matches(record, REJECTED)


@pytest.mark.parametrize("value", [b"nope", b"[1]", b"\xff", b"[" * 10_000])
def test_a_raw_record_that_cannot_be_read_is_of_no_type(value: bytes) -> None:
    assert Selection((RAW,), session="s-1").matches(a_raw_record(value=value), RAW)
    assert not Selection((RAW,), name="pageview").matches(a_raw_record(value=value), RAW)


def test_a_name_that_is_no_text_is_no_name() -> None:
    assert not Selection((RAW,), name="1").matches(a_raw_record(an_event(name=1)), RAW)


def test_a_session_is_taken_by_its_applications_and_its_latest_event() -> None:
    record = a_session_record("s-1")

    assert Selection((SESSIONS,), application="blog", session="s-1", from_time=MOMENT).matches(record, SESSIONS)
    assert not Selection((SESSIONS,), application="other").matches(record, SESSIONS)
    assert not Selection((SESSIONS,), to_time=MOMENT).matches(record, SESSIONS)


def test_a_selection_says_what_it_takes() -> None:
    assert str(Selection((RAW,), partitions=(0, 2), name="dance")) == "events.raw, partitions (0, 2), name dance"
    assert str(Selection((VALIDATED, REJECTED), all=True)) == "events.validated + events.rejected, all of it"
