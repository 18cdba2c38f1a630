"""Lag of each stage and of the spools, in messages and in seconds."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import NamedTuple

from aiokafka import TopicPartition

from eye.operations.spools.states import read_spools
from eye.operations.topics import topic_partitions
from eye.operations.wait_until_stored import Positions, judged_positions, stored_positions
from schemas.settings import Settings
from schemas.topics import topic_names
from stream.runner.kafka_reader import Lookup

COUNTED_OFFSETS = 20_000
"""Up to so many offsets a partition's lag is counted record by record; what is beyond them is estimated."""

_READ_RECORDS = 5_000


@dataclass(frozen=True, slots=True)
class Lag:
    """Distance of one stage from the end of one partition.

    `messages` are records not done yet; transaction markers are none. It is `exact`, or estimated where there
    are very many. `seconds` is the age of the oldest of them, 0 where there is none. Events in a gateway's spool wait
    before the raw topic, in no partition.
    """

    stage: str
    topic: str
    partition: int | None
    position: int
    end: int
    messages: int
    exact: bool
    seconds: float


class _Stage(NamedTuple):
    name: str
    topic: str
    committed_only: bool
    positions: Positions


async def read_lag(settings: Settings) -> list[Lag]:
    """Return the lag of every stage in every partition, in the order of the flow.

    Raises KafkaError or psycopg.Error when Kafka or Postgres is away, TopicMissing before topics are made.
    """
    topics = topic_names(settings)
    judged, stored = await judged_positions(settings), await stored_positions(settings)
    stages = [
        _Stage("stream", topics.raw, False, judged),
        _Stage("sink events", topics.validated, True, stored),
        _Stage("sink rejected_events", topics.rejected, True, stored),
        _Stage("sink sessions", topics.sessions, True, stored),
    ]
    partitions = await topic_partitions(settings)
    spooled = [
        Lag(f"spool {spool.where}", topics.raw, None, 0, spool.records, spool.records, True, spool.oldest_seconds)
        for spool in await read_spools(settings)
    ]
    return spooled + [lag for stage in stages for lag in await _lags(settings, stage, partitions[stage.topic])]


async def _lags(settings: Settings, stage: _Stage, partitions: list[TopicPartition]) -> list[Lag]:
    async with Lookup(settings, committed_only=stage.committed_only) as lookup:
        return [await _lag(lookup, stage, tp) for tp in partitions]


async def _lag(lookup: Lookup, stage: _Stage, tp: TopicPartition) -> Lag:
    earliest, end = await lookup.bounds(tp)
    position = stage.positions.get(tp, earliest)
    first = resume_offset(position, earliest, end)
    counted_to = min(end, first + COUNTED_OFFSETS)
    number, oldest = 0, None
    async for chunk in lookup.chunks(tp, first, counted_to, _READ_RECORDS):
        number += len(chunk.records)
        if oldest is None and chunk.records:
            oldest = chunk.records[0].timestamp
    if counted_to < end:
        number = round(number * (end - first) / (counted_to - first))
    seconds = max(time.time() - oldest / 1000, 0.0) if oldest is not None else 0.0
    return Lag(
        stage=stage.name,
        topic=tp.topic,
        partition=tp.partition,
        position=position,
        end=end,
        messages=number,
        exact=counted_to == end,
        seconds=round(seconds, 3),
    )


def resume_offset(position: int, earliest: int, end: int) -> int:
    """Return where a stage goes on: at its position, or at the earliest offset when that one is gone."""
    return position if earliest <= position <= end else earliest
