"""Fill topics as the gateway and the stream would, without either."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import murmur2

from bench.corpus import encoded, events
from schemas.settings import Settings
from schemas.timestamp import parse_timestamp
from schemas.topics import topic_names
from schemas.verdict import Accepted, encode

Record = tuple[bytes, bytes, list[tuple[str, bytes]]]
"""Key, value and headers."""


async def fill_raw(
    settings: Settings, number: int, *, seed: int = 1, sessions: int = 50_000, even: bool = False
) -> None:
    """Write events to the raw topic as the gateway does, sent by application `bench`."""
    records = raw_records(events(number, seed=seed, sessions=sessions, even=even))
    await write(settings, topic_names(settings).raw, records)


async def fill_validated(settings: Settings, number: int, *, seed: int = 1) -> None:
    """Write events to the validated topic as the stream does."""
    await write(settings, topic_names(settings).validated, validated_records(number, seed=seed))


def raw_records(sent: Iterable[dict[str, object]]) -> Iterator[Record]:
    """Yield the records of `events.raw` that events become at the gateway."""
    received_at = str(int(time.time() * 1000)).encode()
    for event in sent:
        headers = _headers(str(event["event_id"]), received_at)
        yield str(event["session_id"]).encode(), encoded(event), headers


def validated_records(number: int, *, seed: int = 1) -> Iterator[Record]:
    """Yield the records of `events.validated` that events of the corpus become, whatever the rules say of them."""
    now = datetime.now(UTC)
    received_at = str(int(now.timestamp() * 1000)).encode()
    for index, event in enumerate(events(number, seed=seed)):
        event_id, category, name = str(event["event_id"]), str(event["category"]), str(event["name"])
        accepted = Accepted(
            event_id,
            "bench",
            str(event["session_id"]),
            category,
            name,
            parse_timestamp(str(event["timestamp"])),
            now,
            1,
            msgspec.Raw(msgspec.json.encode(event["data"])),
        )
        headers = [
            *_headers(event_id, received_at),
            ("category", category.encode()),
            ("name", name.encode()),
            ("schema_version", b"1"),
            ("source", b"events.raw:0:%d" % index),
        ]
        yield accepted.session_id.encode(), encode(accepted), headers


def _headers(event_id: str, received_at: bytes) -> list[tuple[str, bytes]]:
    return [
        ("event_id", event_id.encode()),
        ("application", b"bench"),
        ("received_at", received_at),
        ("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ]


async def write(settings: Settings, topic: str, records: Iterable[Record]) -> None:
    """Write records in full batches to the partitions of their keys."""
    producer = AIOKafkaProducer(**settings.kafka_client(), acks="all", max_batch_size=900_000)
    await producer.start()
    try:
        waiting: list[asyncio.Future[object]] = []
        batches: defaultdict[int, Any] = defaultdict(producer.create_batch)
        for key, value, headers in records:
            partition = (murmur2(key) & 0x7FFFFFFF) % settings.partitions
            if batches[partition].append(timestamp=None, key=key, value=value, headers=headers) is None:
                waiting.append(await producer.send_batch(batches.pop(partition), topic, partition=partition))
                batches[partition].append(timestamp=None, key=key, value=value, headers=headers)
        for partition, batch in batches.items():
            waiting.append(await producer.send_batch(batch, topic, partition=partition))
        await asyncio.gather(*waiting)
    finally:
        await producer.stop()
