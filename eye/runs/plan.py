"""Plan of a run: the offsets that a selection covers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import NamedTuple

from aiokafka import TopicPartition

from eye.operations.topics import partition_counts
from eye.runs.errors import ReplayError
from eye.runs.selection import Selection
from schemas.settings import Settings
from stream.runner.kafka_reader import Lookup

_CLOCKS_APART = timedelta(minutes=10)
"""Most that a record's own time may be ahead of the time that Kafka has noted for it."""


class Span(NamedTuple):
    """Offsets of one partition: from `start` up to, but without, `end`."""

    topic: str
    partition: int
    start: int
    end: int

    @property
    def tp(self) -> TopicPartition:
        """The partition, as clients name it."""
        return TopicPartition(self.topic, self.partition)


async def plan(
    settings: Settings, lookup: Lookup, selection: Selection, until: Mapping[TopicPartition, int] | None = None
) -> list[Span]:
    """Return the offsets that are selected, by partition, up to the partitions' ends as of now, or `until`.

    Raises ReplayError when a topic or partition is unknown, offsets have expired or are still to come, or there is
    nothing at all.
    """
    topics = [f"{settings.topic_prefix}{name}" for name in selection.topics]
    counts = await partition_counts(settings, topics)
    spans = []
    for topic in topics:
        for partition in _partitions(topic, counts.get(topic, 0), selection.partitions):
            tp = TopicPartition(topic, partition)
            spans.append(await _span(lookup, tp, selection, None if until is None else until.get(tp, 0)))
    spans = [span for span in spans if span.start < span.end]
    if not spans:
        raise ReplayError(f"nothing is selected: there is no record in {selection}")
    return spans


def _partitions(topic: str, count: int, wanted: Iterable[int] | None) -> list[int]:
    if not count:
        raise ReplayError(f"there is no topic {topic}; `eye topics create` makes what is missing")
    if unknown := set(wanted or ()) - set(range(count)):
        raise ReplayError(f"{topic} has the partitions 0 to {count - 1}, there is no {min(unknown)}")
    return sorted(range(count) if wanted is None else set(wanted))


async def _span(lookup: Lookup, tp: TopicPartition, selection: Selection, until: int | None) -> Span:
    where, first, last = f"{tp.topic}:{tp.partition}", selection.from_offset, selection.to_offset
    earliest, end = await lookup.bounds(tp)
    if first is not None and first < earliest:
        raise ReplayError(f"{where} begins at offset {earliest}: {first} to {earliest - 1} have expired")
    if last is not None and last > end:
        raise ReplayError(f"{where} ends at offset {end}: there is no {last - 1} yet")
    start = earliest if first is None else first
    end = min(bound for bound in (end, last, until) if bound is not None)
    if selection.from_time is not None:
        begin = await lookup.offset_at(tp, selection.from_time - _CLOCKS_APART)
        start = max(start, end if begin is None else begin)
    return Span(tp.topic, tp.partition, start, end)
