"""The same event sent again: recognised within the window, and never mistaken for another."""

from __future__ import annotations

from datetime import timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.verdict import Accepted
from stream.duplicates import RecentEvents
from tests.support.builders import a_rejected, after, an_accepted

WINDOW = timedelta(seconds=600)


def event(event_id: str, seconds: float = 0, application: str = "shop") -> Accepted:
    return an_accepted(event_id=event_id, application=application, received_at=after(seconds))


@pytest.fixture
def recent() -> RecentEvents:
    return RecentEvents(WINDOW, most=1000)


@pytest.mark.parametrize("seconds", [0, 1, 599.999, 600])
def test_an_event_that_comes_again_within_the_window_is_a_duplicate(recent: RecentEvents, seconds: float) -> None:
    assert recent.add(event("a"))
    assert recent.add(event("b", seconds))

    assert not recent.add(event("a", seconds))


def test_the_window_holds_across_its_turns(recent: RecentEvents) -> None:
    for second in range(0, 5_000, 100):
        assert recent.add(event(f"e-{second}", second))
        for age in range(100, min(second, 600) + 1, 100):
            assert not recent.add(event(f"e-{second - age}", second))


def test_an_event_is_forgotten_after_two_windows(recent: RecentEvents) -> None:
    recent.add(event("a"))
    recent.add(event("b", 601))
    recent.add(event("c", 1_202))

    assert recent.add(event("a", 1_203))


def test_the_same_id_of_another_application_is_no_duplicate(recent: RecentEvents) -> None:
    assert recent.add(event("a"))
    assert recent.add(event("a", application="blog"))
    assert not recent.add(event("a", application="blog"))


def test_a_rejected_event_that_comes_again_as_it_was_is_a_duplicate(recent: RecentEvents) -> None:
    assert recent.add(a_rejected(event_id="a"))
    assert recent.add(a_rejected(event_id="b"))

    assert not recent.add(a_rejected(event_id="a", received_at=after(600)))


def test_a_rejected_event_that_comes_again_otherwise_is_another(recent: RecentEvents) -> None:
    assert recent.add(a_rejected(event_id="a"))
    assert recent.add(msgspec.structs.replace(a_rejected(event_id="a"), raw="{ }"))
    assert recent.add(event("a"))


def test_of_a_value_that_was_cut_none_is_a_duplicate(recent: RecentEvents) -> None:
    cut = msgspec.structs.replace(a_rejected(), raw_truncated=True)

    assert recent.add(cut)
    assert recent.add(cut)


def test_an_old_time_of_reception_forgets_nothing(recent: RecentEvents) -> None:
    recent.add(event("a", 5_000))
    recent.add(event("b", 0))

    assert not recent.add(event("a", 0))
    assert not recent.add(event("b", 5_000))


def test_a_duplicate_does_not_make_the_window_longer(recent: RecentEvents) -> None:
    for second in (0, 500, 1_000):
        recent.add(event("a", second))
    recent.add(event("b", 1_201))
    recent.add(event("c", 1_802))

    assert recent.add(event("a", 1_803))


def test_the_last_of_many_events_are_known_in_bounded_memory() -> None:
    recent = RecentEvents(WINDOW, most=100)

    for number in range(1_000):
        recent.add(event(f"e-{number}"))

        assert remembered(recent) <= 200
    assert not any(recent.add(event(f"e-{number}")) for number in range(900, 1_000))


def remembered(recent: RecentEvents) -> int:
    window = recent._accepted
    return sum(len(ids) for generation in (window._older, window._newer) for ids in generation.values())


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.builds(event, st.sampled_from("abcdefgh"), st.floats(0, 3_000), st.sampled_from(["shop", "blog"])),
        max_size=60,
    ),
    st.integers(1, 5),
)
def test_memory_is_bounded_and_nothing_new_is_ever_called_a_duplicate(events: list[Accepted], most: int) -> None:
    recent = RecentEvents(WINDOW, most)
    known: set[tuple[str, str]] = set()

    for sent in events:
        key = (sent.application, sent.event_id)
        if not recent.add(sent):
            assert key in known
        known.add(key)

        assert remembered(recent) <= 2 * most
