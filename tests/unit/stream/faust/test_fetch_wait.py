"""Kafka gathers records when chunks are many, and answers at once when they are few."""

from __future__ import annotations

from stream.faust.fetch_wait import AT_ONCE, BUSY_CHUNKS, Fetch, FetchWait


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def paced(clock: Clock, *, chunks: int, a_second: float, gather_ms: int = 100, most_bytes: int = 4 << 20) -> FetchWait:
    """Make a policy after chunks at a rate; the clock stands at the last one."""
    pace = FetchWait(gather_ms, most_bytes, clock)
    for number in range(chunks):
        clock.now += 1 / a_second if number else 0
        pace.note_chunk()
    return pace


def test_a_first_chunk_is_fetched_at_once() -> None:
    assert FetchWait(100, 4 << 20).fetch() == AT_ONCE


def test_few_chunks_a_second_are_fetched_at_once_however_long() -> None:
    assert paced(Clock(), chunks=1_000, a_second=BUSY_CHUNKS - 2).fetch() == AT_ONCE


def test_many_chunks_a_second_are_gathered() -> None:
    assert paced(Clock(), chunks=1_000, a_second=BUSY_CHUNKS + 2).fetch() == Fetch(1 << 20, 100)


def test_after_a_calm_second_they_are_fetched_at_once_again() -> None:
    clock = Clock()
    pace = paced(clock, chunks=1_000, a_second=100)

    clock.now += 1

    assert pace.fetch() == AT_ONCE


def test_no_more_is_waited_for_than_a_fetch_may_bring() -> None:
    assert paced(Clock(), chunks=1_000, a_second=100, most_bytes=1_000).fetch() == Fetch(1_000, 100)


def test_whoever_does_not_gather_fetches_at_once() -> None:
    assert paced(Clock(), chunks=1_000, a_second=100, gather_ms=0).fetch() == AT_ONCE
