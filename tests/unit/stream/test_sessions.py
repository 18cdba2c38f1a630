"""Sessions: the same whatever came in which chunk, closed by the records' own time, continued after a restart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from itertools import pairwise, permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.session import SessionStatus, SessionSummary, decode_session, encode_session, new_session
from schemas.verdict import Verdict
from stream.sessions import SessionBook
from tests.support.builders import OCCURRED, a_rejected, after, an_accepted

GAP = timedelta(seconds=10)

Topic = dict[str, bytes]
"""The last summary of each session, as a reader of topic `sessions` knows it."""


@pytest.fixture
def book() -> Iterator[SessionBook]:
    with a_book() as book:
        yield book


@contextmanager
def a_book(published: Topic | None = None) -> Iterator[SessionBook]:
    """Make a book as a partition's new owner does, from the summaries that the former one published."""
    with closing(SessionBook(GAP)) as book:
        book.restore(decode_session(value) for value in (published or {}).values())
        yield book


def publish(topic: Topic, changed: dict[str, SessionSummary]) -> None:
    topic.update({session_id: encode_session(summary) for session_id, summary in changed.items()})


def event(session_id: str, seconds: float, event_id: str = "e-1") -> Verdict:
    return an_accepted(session_id=session_id, received_at=after(seconds), event_id=event_id)


def states(changed: dict[str, SessionSummary]) -> dict[str, tuple[str, int]]:
    return {session_id: (summary.status.value, summary.revision) for session_id, summary in changed.items()}


def test_a_chunk_changes_the_sessions_it_names_and_no_others(book: SessionBook) -> None:
    book.apply([event("a", 0), event("b", 0)])

    changed = book.apply([event("b", 1), event("c", 1), event("b", 2)])

    assert states(changed) == {"b": ("open", 3), "c": ("open", 1)}
    assert len(book) == 3


def test_a_rejected_event_without_a_session_changes_nothing(book: SessionBook) -> None:
    assert book.apply([a_rejected(session_id=None)]) == {}
    assert book.now is None


def test_a_rejected_event_of_a_session_counts_in_it(book: SessionBook) -> None:
    changed = book.apply([a_rejected(session_id="a")])

    assert (changed["a"].event_count, changed["a"].rejected_count) == (0, 1)


@pytest.mark.parametrize("order", list(permutations([0, 5, 9])))
def test_start_and_end_do_not_depend_on_the_order_of_arrival(book: SessionBook, order: tuple[int, ...]) -> None:
    moments = [OCCURRED + timedelta(seconds=seconds) for seconds in order]

    changed = book.apply(an_accepted(occurred_at=moment) for moment in moments)

    assert (changed["s-1"].started_at, changed["s-1"].ended_at) == (min(moments), max(moments))


def test_a_session_closes_once_its_partition_is_past_the_gap(book: SessionBook) -> None:
    book.apply([event("a", 0)])

    assert states(book.apply([event("b", 10)])) == {"b": ("open", 1)}
    assert states(book.apply([event("b", 10.001)])) == {"a": ("closed", 2), "b": ("open", 2)}
    assert len(book) == 1


def test_no_session_closes_while_nothing_comes(book: SessionBook) -> None:
    assert states(book.apply([event("a", 0)])) == {"a": ("open", 1)}
    assert states(book.apply([])) == {}
    assert len(book) == 1


def test_all_idle_sessions_close_at_once(book: SessionBook) -> None:
    book.apply(event(session_id, 0) for session_id in "abc")

    changed = book.apply([event("d", 60)])

    assert states(changed) == {"a": ("closed", 2), "b": ("closed", 2), "c": ("closed", 2), "d": ("open", 1)}


def test_a_late_event_reopens_a_session_at_the_next_revision(book: SessionBook) -> None:
    book.apply([event("a", 0, event_id="first"), event("b", 60)])

    changed = book.apply([event("a", 61, event_id="second")])

    assert states(changed) == {"a": ("open", 3)}
    assert (changed["a"].event_count, changed["a"].first_event_id) == (2, "first")
    assert states(book.apply([event("b", 120)])) == {"a": ("closed", 4), "b": ("open", 2)}


def test_an_old_reception_does_not_turn_time_back(book: SessionBook) -> None:
    book.apply([event("a", 60)])

    changed = book.apply([event("b", 0)])

    assert states(changed) == {"b": ("open", 1)}
    assert (book.now, changed["b"].updated_at) == (after(60), after(60))


def test_a_session_closed_before_a_restart_is_opened_again_after_it(book: SessionBook) -> None:
    topic: Topic = {}
    publish(topic, book.apply([event("a", 0), event("b", 60)]))

    with a_book(topic) as successor:
        assert (len(successor), successor.now) == (1, after(60))
        assert states(successor.apply([event("a", 61)])) == {"a": ("open", 3)}


def test_a_session_left_open_closes_after_a_restart_as_it_would_have(book: SessionBook) -> None:
    topic: Topic = {}
    publish(topic, book.apply([event("a", 0), event("b", 9)]))

    with a_book(topic) as successor:
        assert states(successor.apply([event("b", 10.5)])) == {"a": ("closed", 2), "b": ("open", 2)}


def test_restoring_nothing_begins_at_nothing(book: SessionBook) -> None:
    assert (len(book), book.now) == (0, None)


# any verdicts, in any chunks

verdicts = st.lists(
    st.builds(
        lambda rejected, session_id, application, received, occurred: (
            a_rejected(session_id=session_id, application=application, received_at=after(received))
            if rejected
            else an_accepted(
                session_id=session_id,
                application=application,
                event_id=f"{application}-{received}-{occurred}",
                received_at=after(received),
                occurred_at=OCCURRED + timedelta(seconds=occurred),
            )
        ),
        st.booleans(),
        st.sampled_from("abcd"),
        st.sampled_from(["shop", "blog"]),
        st.integers(0, 60) | st.floats(0, 60).map(lambda seconds: round(seconds, 3)),
        st.integers(0, 9),
    ),
    max_size=25,
).flatmap(lambda found: st.just(found) | st.just(sorted(found, key=lambda verdict: verdict.received_at)))


def chunks(found: Sequence[Verdict], cuts: Iterable[int]) -> Iterator[Sequence[Verdict]]:
    for start, end in pairwise([0, *sorted(min(cut, len(found)) for cut in cuts), len(found)]):
        yield found[start:end]


def in_one_life(parts: Iterable[Sequence[Verdict]]) -> Topic:
    topic: Topic = {}
    with a_book() as book:
        for part in parts:
            publish(topic, book.apply(part))
    return topic


def with_a_restart_before_each(parts: Iterable[Sequence[Verdict]]) -> Topic:
    topic: Topic = {}
    for part in parts:
        with a_book(topic) as book:
            publish(topic, book.apply(part))
    return topic


def by_the_definition(found: Iterable[Verdict]) -> Topic:
    """Compute the expected summaries slowly: look at all sessions after every verdict."""
    known: dict[str, SessionSummary] = {}
    now: datetime | None = None
    for verdict in found:
        assert verdict.session_id is not None
        now = max(now or verdict.received_at, verdict.received_at)
        known.setdefault(verdict.session_id, new_session(verdict.session_id, now)).add(verdict, now)
        for summary in known.values():
            if summary.status is SessionStatus.OPEN and now - summary.updated_at > GAP:
                summary.close()
    return {session_id: encode_session(summary) for session_id, summary in known.items()}


@settings(max_examples=50, deadline=None)
@given(verdicts, st.lists(st.integers(0, 25), max_size=5))
def test_the_summaries_do_not_depend_on_the_chunks_nor_on_restarts(found: list[Verdict], cuts: list[int]) -> None:
    expected = by_the_definition(found)

    assert in_one_life([found]) == expected
    assert in_one_life(chunks(found, cuts)) == expected
    assert with_a_restart_before_each(chunks(found, cuts)) == expected


@settings(max_examples=25, deadline=None)
@given(verdicts)
def test_every_change_of_a_session_raises_its_revision(found: list[Verdict]) -> None:
    seen: Topic = {}
    with a_book() as book:
        for verdict in found:
            for session_id, summary in book.apply([verdict]).items():
                before = decode_session(seen[session_id]).revision if session_id in seen else 0
                assert summary.revision > before
                publish(seen, {session_id: summary})
