"""Listeners of the live stream: their bounds, their conditions and their positions."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition

from gateway.live.listener import MAX_WAITING, MAX_WAITING_BYTES, Listener
from gateway.live.positions import Positions, decode_positions, encode_positions
from gateway.live.verdict import ACCEPTED, REJECTED, Conditions, LiveVerdict
from schemas.topics import Topics

TOPICS = Topics("events.raw", "events.validated", "events.rejected", "sessions")
VALIDATED = TopicPartition("events.validated", 0)


def a_verdict(offset: int = 0, kind: str = ACCEPTED, **changes: Any) -> LiveVerdict:
    headers = [("application", b"shop"), ("category", b"c"), ("name", b"n")]
    topic = "events.validated" if kind == ACCEPTED else "events.rejected"
    record = {"topic": topic, "partition": 0, "offset": offset, "key": b"s", "value": b'{"a": 1}', "headers": headers}
    return LiveVerdict(SimpleNamespace(**(record | changes)), kind)


def offered(listener: Listener, number: int, **changes: Any) -> None:
    for offset in range(number):
        listener.offer(a_verdict(offset, **changes), {VALIDATED: offset + 1})


def test_an_event_has_its_kind_position_and_data() -> None:
    listener = Listener(Conditions(), TOPICS)

    listener.offer(a_verdict(7), {VALIDATED: 8, TopicPartition("events.rejected", 1): 3})

    assert listener.take() == b'event: accepted\nid: 8-0.3\ndata: {"a": 1}\n\n'
    assert listener.take() == b""


def test_a_value_of_several_lines_stays_one_event() -> None:
    assert (
        a_verdict(value=b'{\n"a":\r\n1}').frame("1-0") == b'event: accepted\nid: 1-0\ndata: {\ndata: "a":\ndata: 1}\n\n'
    )


def test_more_than_may_wait_is_missed_and_told_once() -> None:
    listener = Listener(Conditions(), TOPICS)

    offered(listener, MAX_WAITING + 5)
    taken = listener.take()
    offered(listener, 1)

    assert taken.count(b"event: accepted") == MAX_WAITING
    assert taken.endswith(f'event: gap\nid: {MAX_WAITING + 5}-0\ndata: {{"missed":5}}\n\n'.encode())
    assert b"gap" not in listener.take()


def test_large_events_are_bounded_by_their_bytes() -> None:
    listener = Listener(Conditions(), TOPICS)

    offered(listener, 100, value=b'"' + b"x" * 60_000 + b'"')

    assert len(listener.take()) <= MAX_WAITING_BYTES + 100


@pytest.mark.parametrize(
    ("conditions", "changes", "met"),
    [
        ({}, {}, True),
        ({"session_id": "s"}, {}, True),
        ({"session_id": "t"}, {}, False),
        ({"session_id": "s"}, {"key": None}, False),
        ({"application": "shop"}, {}, True),
        ({"application": "blog"}, {}, False),
        ({"category": "c", "name": "n"}, {}, True),
        ({"name": "other"}, {}, False),
        ({"verdict": REJECTED}, {}, False),
        ({"verdict": REJECTED}, {"kind": REJECTED}, True),
        ({"name": "n"}, {"kind": REJECTED, "headers": [], "value": b'{"name": "n"}'}, True),
        ({"name": "n"}, {"kind": REJECTED, "headers": [], "value": b'{"name": ["n"]}'}, False),
        ({"name": "n"}, {"kind": REJECTED, "headers": [], "value": b"no JSON"}, False),
        ({}, {"headers": [("replay", b"20261122-174312-3f9a")]}, False),
        ({}, {"value": None}, False),
    ],
)
def test_conditions_choose_events(conditions: dict[str, str], changes: dict[str, Any], met: bool) -> None:
    listener = Listener(Conditions(**conditions), TOPICS)

    listener.offer(a_verdict(**changes), {VALIDATED: 1})

    assert bool(listener.take()) is met


def test_a_reader_that_catches_up_hears_each_event_once() -> None:
    listener = Listener(Conditions(), TOPICS, {VALIDATED: 3})

    listener.offer(a_verdict(9), {VALIDATED: 10})  # not its turn: the reader is at 3
    own = [listener.read(a_verdict(offset)) for offset in range(3, 10)]
    listener.own = set()
    for offset in (8, 9, 10):
        listener.offer(a_verdict(offset), {VALIDATED: offset + 1})

    assert [frame.split(b"\n")[1] for frame in own] == [f"id: {offset}-0".encode() for offset in range(4, 11)]
    assert listener.take() == a_verdict(10).frame("11-0")


def test_partitions_that_are_not_there_are_forgotten_and_new_ones_read_whole() -> None:
    gone, new = TopicPartition("events.validated", 9), TopicPartition("events.rejected", 1)
    listener = Listener(Conditions(), TOPICS, {VALIDATED: 3, gone: 5})

    assert listener.begin_at_known({VALIDATED: 7, new: 2}) == {VALIDATED: 3, new: 0}
    assert listener.own == {VALIDATED, new}


def test_positions_are_read_as_they_were_written() -> None:
    positions: Positions = {
        TopicPartition(topic, number): 10**number
        for topic in ("events.validated", "events.rejected")
        for number in range(12)
    }

    assert decode_positions(encode_positions(positions, TOPICS), TOPICS) == positions


@pytest.mark.parametrize("text", ["", "1", "1.2", "-", "1-", "1--2", "a-1", "1-2-3", "1.-2", "９-1", "1" * 19 + "-1"])
def test_a_text_that_is_no_position_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no event"):
        decode_positions(text, TOPICS)
