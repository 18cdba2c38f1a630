"""Records of a raw partition, and the results of the work on it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition
from prometheus_client import CollectorRegistry

from schemas.record import RawRecord, Record
from schemas.settings import Settings
from schemas.topics import topic_names
from stream.metrics import StreamMetrics
from stream.partition import StreamPartition
from stream.runner.chunk import Chunk
from stream.runner.kafka_reader import Lookup
from tests.e2e.reader import read_committed
from tests.integration.stream.test_checkpoint_live import PARTITION, committed_offset


@asynccontextmanager
async def the_work(
    settings: Settings, registry: CollectorRegistry | None = None
) -> AsyncIterator[tuple[StreamPartition, int]]:
    """Open a new owner's work on the partition; return it and the offset it goes on from."""

    async def committed(raw: TopicPartition) -> int | None:
        return await committed_offset(settings, raw.partition)

    raw = TopicPartition(topic_names(settings).raw, PARTITION)
    metrics = StreamMetrics(registry or CollectorRegistry())
    work = StreamPartition(settings, settings.rules(), metrics, raw, committed)
    try:
        yield work, await work.open()
    finally:
        await work.close()


async def send(settings: Settings, records: Sequence[Record]) -> Chunk:
    """Write raw records as the gateway does; returns them as a worker gets them."""
    raw = TopicPartition(topic_names(settings).raw, PARTITION)
    async with AIOKafkaProducer(**settings.kafka_client()) as producer:
        sent = [
            await producer.send_and_wait(raw.topic, r.value, r.key, raw.partition, headers=r.headers) for r in records
        ]
    async with Lookup(settings) as lookup:
        found: list[RawRecord] = [record async for record in lookup.read(raw, offset=sent[0].offset)]
    return Chunk(raw.topic, raw.partition, sent[0].offset, sent[-1].offset + 1, found)


def values(settings: Settings, topic: str) -> list[Any]:
    return [json.loads(message.value()) for message in read_committed(settings, topic)]


def ids(settings: Settings, topic: str) -> list[str]:
    return [value["event_id"] for value in values(settings, topic)]


def sessions(settings: Settings) -> dict[str, Any]:
    """Return the last summary of each session."""
    return {value["session_id"]: value for value in values(settings, topic_names(settings).sessions)}
