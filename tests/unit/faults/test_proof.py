"""The proof of a drill knows what order is: that of sending, as far as the sender can tell, and that of the records."""

from __future__ import annotations

from tests.faults.harness.events import Known, Place
from tests.faults.harness.proof import Found, behind, late
from tests.support.pipeline import an_event


def known(event_id: str, first: Place, acknowledged: Place | None) -> Known:
    return Known(an_event(event_id=event_id), frozenset(), first, acknowledged)


def raw(*event_ids: str) -> dict[str, Found]:
    return {event_id: found(event_id, offset) for offset, event_id in enumerate(event_ids)}


def found(event_id: str, offset: int, partition: int = 0) -> Found:
    return Found(event_id, "s-1", (partition, offset), frozenset())


def test_what_stands_in_the_order_of_its_sending_is_in_order() -> None:
    sent = [known("a", (1, 0), (1, 0)), known("b", (1, 1), (1, 1)), known("c", (2, 0), (2, 0))]

    assert late(sent, raw("a", "b", "c")) == 0


def test_an_event_before_one_acknowledged_earlier_is_out_of_order() -> None:
    sent = [known("a", (1, 0), (1, 0)), known("b", (2, 0), (2, 0)), known("c", (2, 1), (2, 1))]

    assert late(sent, raw("b", "a", "c")) == 1
    assert late(sent, raw("a", "c", "b")) == 1


def test_events_that_were_under_way_together_have_no_order() -> None:
    sent = [known("a", (1, 0), (3, 0)), known("b", (1, 1), (1, 1)), known("c", (2, 0), None)]

    assert late(sent, raw("b", "a", "c")) == 0
    assert late(sent, raw("c", "b", "a")) == 1
    assert late(sent, raw("b", "c", "a")) == 0


def test_verdicts_stand_in_the_order_of_their_raw_records() -> None:
    assert behind([found("a", 1), found("x", 0, partition=1), found("b", 2)]) == 0
    assert behind([found("a", 2), found("b", 1), found("c", 3)]) == 1
    assert behind([found("a", 1), found("a", 1)]) == 1
