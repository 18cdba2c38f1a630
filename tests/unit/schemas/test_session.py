"""The summary of a session: counts, the first and the last event, a revision for each change."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import permutations

import msgspec
import pytest

from schemas.session import SessionStatus, SessionSummary, decode_session, encode_session, new_session
from schemas.verdict import Accepted, Verdict
from tests.support.builders import OCCURRED, RECEIVED, a_rejected, after, an_accepted


def a_summary(*verdicts: Verdict) -> SessionSummary:
    summary = new_session("s-1", RECEIVED)
    for verdict in verdicts:
        summary.add(verdict, RECEIVED)
    return summary


def occurring(event_id: str, seconds: int) -> Accepted:
    return an_accepted(event_id=event_id, occurred_at=OCCURRED + timedelta(seconds=seconds))


def test_a_new_session_knows_nothing_yet() -> None:
    summary = a_summary()

    assert (summary.revision, summary.status, summary.event_count, summary.rejected_count) == (
        0,
        SessionStatus.OPEN,
        0,
        0,
    )
    assert (summary.started_at, summary.ended_at, summary.first_event_id, summary.last_event_id) == (None,) * 4


def test_it_counts_by_type_and_names_every_application_once() -> None:
    summary = a_summary(
        an_accepted(),
        an_accepted(application="blog", name="cta click"),
        an_accepted(application="blog"),
        a_rejected(application="kiosk"),
    )

    assert summary.applications == ["shop", "blog", "kiosk"]
    assert (summary.event_count, summary.rejected_count, summary.revision) == (3, 1, 4)
    assert summary.counts_by_type == {"page interaction/pageview": 2, "page interaction/cta click": 1}


@pytest.mark.parametrize("order", list(permutations([("a", 0), ("b", 5), ("c", 9)])))
def test_first_and_last_go_by_occurrence_whatever_came_first(
    order: list[tuple[str, int]],
) -> None:
    summary = a_summary(*(occurring(event_id, seconds) for event_id, seconds in order))

    assert (summary.first_event_id, summary.last_event_id) == ("a", "c")
    assert (summary.started_at, summary.ended_at) == (OCCURRED, OCCURRED + timedelta(seconds=9))


def test_events_of_one_moment_are_ordered_as_they_were_sent() -> None:
    summary = a_summary(occurring("a", 0), occurring("b", 0))

    assert (summary.first_event_id, summary.last_event_id) == ("a", "b")


def test_rejected_events_have_no_time() -> None:
    summary = a_summary(a_rejected())

    assert (summary.started_at, summary.ended_at, summary.first_event_id) == (None, None, None)
    assert summary.counts_by_type == {}


def test_closing_and_opening_again_are_changes() -> None:
    summary = a_summary(an_accepted())
    summary.close()
    assert (summary.status, summary.revision) == (SessionStatus.CLOSED, 2)

    summary.add(a_rejected(), after(60))

    assert (summary.status, summary.revision, summary.updated_at) == (SessionStatus.OPEN, 3, after(60))


def test_a_summary_survives_the_topic() -> None:
    summary = a_summary(an_accepted(), a_rejected(application="blog"))
    summary.close()

    assert decode_session(encode_session(summary)) == summary


def test_times_are_written_in_utc_to_the_microsecond() -> None:
    written = msgspec.json.decode(encode_session(a_summary(an_accepted())))

    assert written["started_at"] == "2021-01-01T09:15:27.243860Z"
    assert datetime.fromisoformat(written["started_at"]) == OCCURRED
