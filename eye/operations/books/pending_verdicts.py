"""Verdicts in Kafka that the sinks have not stored yet."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from aiokafka import TopicPartition

from eye.operations.lag import resume_offset
from eye.operations.wait_until_stored import Positions
from schemas.ids import row_id
from schemas.record import RawRecord, open_envelope, place_in_source
from schemas.settings import Settings
from stream.runner.kafka_reader import Lookup

EventKey = tuple[str, bytes]
"""Application and the id of the row."""

_MARKER_SECONDS = 10.0
_READ_RECORDS = 5_000


@dataclass(slots=True)
class PendingVerdicts:
    """Verdicts that the sinks have not stored: of which raw records, and of which events.

    In `hidden` partitions an open transaction may hold more of them.
    """

    places: set[tuple[int, int]] = field(default_factory=set)
    keys: set[EventKey] = field(default_factory=set)
    hidden: set[int] = field(default_factory=set)

    def add(self, verdict: RawRecord) -> None:
        """Note a verdict's record."""
        envelope = open_envelope(verdict)
        self.keys.add((envelope.application, row_id(envelope.application, envelope.event_id).bytes))
        if place := place_in_source(verdict.headers):
            self.places.add(place)


async def read_pending_verdicts(
    settings: Settings, verdicts: Sequence[TopicPartition], stored: Positions
) -> PendingVerdicts:
    """Read the verdicts beyond the sinks' positions."""
    pending = PendingVerdicts()
    async with Lookup(settings) as lookup, Lookup(settings, committed_only=False) as beyond:
        for tp in verdicts:
            if not await _wait_for_markers(lookup, tp, (await beyond.bounds(tp))[1]):
                pending.hidden.add(tp.partition)
            earliest, end = await lookup.bounds(tp)
            start = resume_offset(stored.get(tp, earliest), earliest, end)
            async for chunk in lookup.chunks(tp, start, end, _READ_RECORDS):
                for record in chunk.records:
                    pending.add(record)
    return pending


async def _wait_for_markers(lookup: Lookup, tp: TopicPartition, end: int) -> bool:
    """Wait until the transactions that were open are at their end; False when one is not, after a while."""
    deadline = asyncio.get_running_loop().time() + _MARKER_SECONDS
    while (await lookup.bounds(tp))[1] < end:
        if asyncio.get_running_loop().time() > deadline:
            return False
        await asyncio.sleep(0.02)
    return True
