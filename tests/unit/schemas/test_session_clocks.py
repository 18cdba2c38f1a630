"""Clocks of senders: what `sent_at` corrects, one offset a session, and what is judged by the corrected time."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas.judge import _accept, judge
from schemas.record import Record, open_envelope
from schemas.rules import Rules
from schemas.session_clocks import FirstEventDecides, clock_offset
from schemas.verdict import Accepted, Rejected, Verdict, decode_accepted, decode_rejected, encode
from schemas.violations import collect_violations
from tests.support.builders import OCCURRED, RECEIVED, a_raw_record, after, an_event, gateway_headers, the_rules

RULES = the_rules()
HOUR_MS = 3_600_000
SKEW = timedelta(seconds=60)


def sent(at: datetime | None = None, *, in_request: datetime | None = None, **changes: Any) -> Record:
    """Return a raw record whose sender said when it sent it: in the event, in its request, or in both."""
    event = an_event(**changes) | ({} if at is None else {"sent_at": at.isoformat()})
    return a_raw_record(event, headers=gateway_headers(sent_at=in_request))


def accepted(verdict: Verdict) -> Accepted:
    assert isinstance(verdict, Accepted), verdict
    return verdict


def broken(verdict: Verdict) -> list[tuple[str, str]]:
    assert isinstance(verdict, Rejected), verdict
    return [(error.code.value, error.path) for error in verdict.errors]


@pytest.mark.parametrize("seconds", [-60, -1.5, 0, 60])
def test_a_clock_within_the_tolerance_is_right(seconds: float) -> None:
    verdict = accepted(judge(sent(after(seconds)), RULES))

    assert verdict.occurred_at == OCCURRED
    assert {"timestamp_sent", "clock_offset_ms"}.isdisjoint(json.loads(encode(verdict)))


@pytest.mark.parametrize(("seconds", "offset"), [(-60.001, 60_001), (61, -61_000), (7200, -2 * HOUR_MS)])
def test_a_clock_that_is_off_corrects_the_time_and_tells_so(seconds: float, offset: int) -> None:
    for record in (sent(after(seconds)), sent(in_request=after(seconds))):
        verdict = decode_accepted(encode(judge(record, RULES)))

        assert verdict.clock_offset_ms == offset
        assert (verdict.occurred_at, verdict.timestamp_sent) == (OCCURRED + timedelta(milliseconds=offset), OCCURRED)


def test_what_an_event_says_counts_before_its_request() -> None:
    assert accepted(judge(sent(RECEIVED, in_request=after(7200)), RULES)).occurred_at == OCCURRED
    assert accepted(judge(sent(after(7200), in_request=RECEIVED), RULES)).clock_offset_ms == -2 * HOUR_MS


def test_a_clock_that_was_never_set_is_corrected_by_decades() -> None:
    record = sent(datetime(1970, 1, 1, 0, 5, tzinfo=UTC), timestamp="1970-01-01T00:04:57Z")

    assert accepted(judge(record, RULES)).occurred_at == after(-3)


def test_without_the_setting_nothing_is_corrected() -> None:
    rules = the_rules(clock_skew_seconds="")

    assert accepted(judge(sent(after(-7200)), rules)).occurred_at == OCCURRED
    assert accepted(judge(sent(after(-7200)), the_rules(clock_skew_seconds=10_000))).occurred_at == OCCURRED


def test_future_and_age_are_judged_by_the_corrected_time() -> None:
    two_hours_ahead: Any = {"timestamp": after(7200 - 3).isoformat()}
    two_hours_behind: Any = {"timestamp": after(-7200).isoformat()}
    rules = the_rules(max_age_seconds=600)

    assert broken(judge(sent(**two_hours_ahead), rules)) == [("future_timestamp", "$.timestamp")]
    assert accepted(judge(sent(after(7200), **two_hours_ahead), rules)).occurred_at == after(-3)
    assert broken(judge(sent(**two_hours_behind), rules)) == [("too_old", "$.timestamp")]
    assert accepted(judge(sent(after(-7200), **two_hours_behind), rules)).occurred_at == RECEIVED
    now: Any = {"timestamp": RECEIVED.isoformat()}
    assert broken(judge(sent(after(-7200), **now), rules)) == [("future_timestamp", "$.timestamp")]
    assert broken(judge(sent(after(7200), **now), rules)) == [("too_old", "$.timestamp")]


@pytest.mark.parametrize(
    ("sent_at", "code"),
    [
        ("yesterday", "bad_timestamp"),
        ("", "bad_timestamp"),
        ("2021-01-01", "bad_timestamp"),
        (1609492530, "wrong_type"),
    ],
)
def test_a_sent_at_that_is_no_time_is_named(sent_at: Any, code: str) -> None:
    assert broken(judge(a_raw_record(an_event(sent_at=sent_at)), RULES)) == [(code, "$.sent_at")]


@pytest.mark.parametrize("sent_at", [None, "2021-01-01 09:15:60", "20210101T091530Z", "2021-01-01T10:15:30+01:00"])
def test_any_way_to_write_a_timestamp_will_do_for_sent_at(sent_at: Any) -> None:
    assert accepted(judge(a_raw_record(an_event(sent_at=sent_at)), RULES)).occurred_at == OCCURRED


@pytest.mark.parametrize(("timestamp", "seconds"), [("0001-01-01T00:00:00Z", 7200), ("9999-12-31T23:59:59Z", -7200)])
def test_what_no_calendar_has_after_the_correction_is_rejected(timestamp: str, seconds: float) -> None:
    assert broken(judge(sent(after(seconds), timestamp=timestamp), RULES)) == [("bad_timestamp", "$.timestamp")]


@pytest.mark.parametrize("header", [b"", b"soon", b"9" * 30, b"9" * 5000, b"-9" * 9, b"\xff"])
def test_a_header_that_is_no_time_corrects_nothing(header: bytes) -> None:
    record = a_raw_record(headers=[*gateway_headers(), ("sent_at", header)])

    assert accepted(judge(record, RULES)).occurred_at == OCCURRED


def test_the_first_event_of_a_session_decides_for_all() -> None:
    clocks = FirstEventDecides(SKEW)
    sent_at = [after(-7200), RECEIVED, after(-600), None]
    records = [sent(at, timestamp=(at or after(-7200)).isoformat()) for at in sent_at]

    verdicts = [accepted(judge(record, RULES, clocks)) for record in records]

    assert {verdict.clock_offset_ms for verdict in verdicts} == {2 * HOUR_MS}


@pytest.mark.parametrize("first", [sent(), sent(RECEIVED)], ids=["says nothing", "is right"])
def test_a_session_that_began_without_an_offset_never_has_one(first: Record) -> None:
    clocks = FirstEventDecides(SKEW)
    judge(first, RULES, clocks)

    assert accepted(judge(sent(after(-7200)), RULES, clocks)).occurred_at == OCCURRED


def test_a_rejected_first_event_decides_as_well() -> None:
    clocks = FirstEventDecides(SKEW)
    first = decode_rejected(encode(judge(sent(after(-7200), name="dance"), RULES, clocks)))

    assert first.clock_offset_ms == 2 * HOUR_MS
    assert accepted(judge(sent(RECEIVED), RULES, clocks)).clock_offset_ms == 2 * HOUR_MS


@pytest.mark.parametrize("value", [b"nope", b"[]", json.dumps(an_event(session_id="another")).encode()])
def test_a_record_of_no_session_decides_nothing(value: bytes) -> None:
    clocks = FirstEventDecides(SKEW)
    broken(judge(a_raw_record(value=value, headers=gateway_headers(sent_at=after(7200))), RULES, clocks))

    assert accepted(judge(sent(RECEIVED), RULES, clocks)).occurred_at == OCCURRED


def test_a_stalled_first_request_costs_no_later_event() -> None:
    """The session's times are late by the stall; that is no reason to refuse what is sent by a clock that is right."""
    clocks = FirstEventDecides(SKEW)
    accepted(judge(sent(after(-600), timestamp=after(-603).isoformat()), RULES, clocks))

    for later in (sent(RECEIVED), sent()):
        verdict = accepted(judge(later, RULES, clocks))
        assert (verdict.occurred_at, verdict.timestamp_sent) == (OCCURRED + timedelta(minutes=10), OCCURRED)


moments = st.sampled_from([-100_000, -61, -60, 0, 59, 61, 7200]) | st.floats(-1e5, 1e5)
times = (
    st.none() | moments.map(lambda seconds: after(seconds).isoformat()) | st.sampled_from(["soon", 5, "20210101T10"])
)


@settings(max_examples=150, deadline=None)
@given(times, moments, st.none() | moments, st.none() | st.integers(-(10**8), 10**8), st.booleans())
@example(None, 0, None, 10**15, False)
def test_both_ways_of_judging_agree_on_clocks(
    sent_at: Any, occurred: float, in_request: float | None, known: int | None, is_known: bool
) -> None:
    event = an_event(sent_at=sent_at, timestamp=after(occurred).isoformat())
    headers = gateway_headers(sent_at=None if in_request is None else after(in_request))
    record = a_raw_record(event, headers=headers)

    rules: Rules = the_rules(max_age_seconds=80_000)
    fast, slow = (
        way(
            record.value or b"",
            open_envelope(record),
            rules,
            FirstEventDecides(SKEW, {"s-1": known} if is_known else {}),
        )
        for way in (_accept, collect_violations)
    )

    assert fast in (None, slow)


@pytest.mark.parametrize("offset", [-500, 0, 1, 10**9])
def test_an_offset_is_what_has_to_be_added(offset: int) -> None:
    assert clock_offset(RECEIVED - timedelta(milliseconds=offset), RECEIVED, timedelta(0)) == (offset or None)
