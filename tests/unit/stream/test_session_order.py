"""The order of a session's events: never changed by a correction, whatever the clocks, the order and the crashes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from datetime import datetime, timedelta
from itertools import combinations, pairwise
from typing import NamedTuple

from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas.judge import judge
from schemas.record import Record
from schemas.session import SessionSummary, decode_session, encode_session
from schemas.session_clocks import FirstEventDecides
from schemas.verdict import Accepted, Verdict, encode
from stream.duplicates import RecentEvents
from stream.sessions import SessionBook
from tests.support.builders import a_raw_record, after, an_event, gateway_headers, the_rules

GAP = timedelta(seconds=30)
RULES = the_rules(max_age_seconds=100_000)


class Sent(NamedTuple):
    """An event as sent, in seconds: when it was received, what its sender's clock said then, and when it happened."""

    session_id: str
    application: str
    received: float
    sent_at: float | None
    says_itself: bool
    happened: float
    is_valid: bool
    number: int


def raw_record(sent: Sent, offset: int) -> Record:
    """Return the event's raw record; a number that comes again is the same event sent again."""
    sent_at = None if sent.sent_at is None else after(sent.sent_at)
    event = an_event(session_id=sent.session_id, timestamp=after(sent.happened).isoformat())
    event |= {} if sent.is_valid else {"name": "dance"}
    event |= {"sent_at": sent_at.isoformat()} if sent_at is not None and sent.says_itself else {}
    event_id = f"{sent.session_id}-{sent.application}-{sent.number}"
    in_request = None if sent.says_itself else sent_at
    headers = gateway_headers(event_id, sent.application, after(sent.received), sent_at=in_request)
    return a_raw_record(event, key=sent.session_id.encode(), headers=headers, offset=offset)


class Topics:
    """All that the stream has committed: verdicts with their raw records, and the last summary of each session."""

    def __init__(self) -> None:
        self.verdicts: list[tuple[Record, Verdict]] = []
        self.sessions: dict[str, bytes] = {}

    def summaries(self) -> list[SessionSummary]:
        return [decode_session(value) for value in self.sessions.values()]


class Stream:
    """A partition's owner without Kafka: judges, drops what was sent again, and updates the sessions."""

    def __init__(self, topics: Topics) -> None:
        self.topics = topics
        self.book = SessionBook(GAP, RULES.clock_skew)
        self.book.restore(topics.summaries())
        self.recent = RecentEvents(timedelta(days=1), 1000)
        for _, verdict in topics.verdicts:
            self.recent.add(verdict)

    def process(self, records: Sequence[Record], *, crash: bool) -> None:
        judged = [(raw, judge(raw, RULES, self.book)) for raw in records]
        counted = [(raw, verdict) for raw, verdict in judged if self.recent.add(verdict)]
        changed = self.book.apply(verdict for _, verdict in counted)
        if not crash:
            self.topics.verdicts += counted
            self.topics.sessions |= {name: encode_session(summary) for name, summary in changed.items()}


def run(chunks: Sequence[Sequence[Record]], restarts: Sequence[bool] = (), crashes: Sequence[bool] = ()) -> Topics:
    """Process chunks; a crash loses all that a chunk did before it was committed, and the next owner does it again."""
    topics = Topics()
    stream = Stream(topics)
    for number, chunk in enumerate(chunks):
        for crash in (True, False) if number < len(crashes) and crashes[number] else (False,):
            stream.process(chunk, crash=crash)
            if crash or (number < len(restarts) and restarts[number]):
                stream.book.close()
                stream = Stream(topics)
    with closing(stream.book):
        return topics


clocks = st.sampled_from([0.0, 59, 61, -61, 600, -600, 7200, -7200]) | st.floats(-90_000, 90_000)
events = st.lists(
    st.builds(
        lambda session_id, application, received, clock, says_itself, ago, is_valid, number: Sent(
            session_id,
            application,
            round(received, 3),
            None if clock is None else round(received + clock, 6),
            says_itself,
            round(received + (clock or 0) - ago, 6),
            is_valid,
            number,
        ),
        st.sampled_from("ab"),
        st.sampled_from(["shop", "blog"]),
        st.floats(0, 300),
        st.none() | clocks,
        st.booleans(),
        st.sampled_from([0.0, 1, 5]) | st.floats(0, 3600),
        st.sampled_from([True, True, True, False]),
        st.integers(0, 15),
    ),
    max_size=20,
)
two_requests = [  # the second one's clock is right; corrected by its own, its event would stand before the first one's
    Sent("a", "shop", 10, -7190, True, -7190, True, 1),
    Sent("a", "shop", 11, 11, True, -100, True, 2),
]


@settings(max_examples=150, deadline=None)
@given(events, st.lists(st.integers(0, 20), max_size=5), st.lists(st.booleans()), st.lists(st.booleans()))
@example(two_requests, [1], [True], [True])
def test_no_two_events_of_a_session_change_places(
    sent: list[Sent], cuts: list[int], restarts: list[bool], crashes: list[bool]
) -> None:
    records = [raw_record(one, offset) for offset, one in enumerate(sent)]
    chunks = [
        records[start:end]
        for start, end in pairwise([0, *sorted(min(cut, len(records)) for cut in cuts), len(records)])
    ]

    topics = run(chunks, restarts, crashes)

    accepted = [verdict for _, verdict in topics.verdicts if isinstance(verdict, Accepted)]
    for one, other in combinations(accepted, 2):
        if one.session_id == other.session_id:
            assert occurred_before(one, other) == sent_before(one, other)
    assert {one.session_id: one.clock_offset_ms for one in topics.summaries()} == {
        verdict.session_id: offset_of(verdict) for _, verdict in topics.verdicts
    }
    assert [encode(verdict) for _, verdict in topics.verdicts] == [
        encode(verdict) for _, verdict in run([records]).verdicts
    ]
    assert topics.sessions == run([records]).sessions


@settings(max_examples=100, deadline=None)
@given(events)
def test_a_replay_judges_alike_by_the_stored_offsets(sent: list[Sent]) -> None:
    topics = run([[raw_record(one, offset) for offset, one in enumerate(sent)]])

    stored = FirstEventDecides(RULES.clock_skew, {one.session_id: one.clock_offset_ms for one in topics.summaries()})

    for raw, verdict in reversed(topics.verdicts):  # in whatever order, and whichever of them
        assert encode(judge(raw, RULES, stored)) == encode(verdict)


def occurred_before(one: Accepted, other: Accepted) -> bool:
    return one.occurred_at < other.occurred_at


def sent_before(one: Accepted, other: Accepted) -> bool:
    return timestamp(one) < timestamp(other)


def timestamp(verdict: Accepted) -> datetime:
    return verdict.timestamp_sent if isinstance(verdict.timestamp_sent, datetime) else verdict.occurred_at


def offset_of(verdict: Verdict) -> int | None:
    return verdict.clock_offset_ms if isinstance(verdict.clock_offset_ms, int) else None
