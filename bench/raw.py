"""Filling the raw topic as the gateway would, without one."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import murmur2

from bench.corpus import encoded, events
from schemas.settings import Settings
from schemas.topics import topic_names


async def fill_raw(settings: Settings, number: int, *, seed: int = 1) -> None:
    """Write events to the raw topic, keyed, partitioned and with the headers of application `bench`."""
    topic = topic_names(settings).raw
    producer = AIOKafkaProducer(**settings.kafka_client(), acks="all", max_batch_size=900_000)
    await producer.start()
    try:
        waiting: list[asyncio.Future[object]] = []
        batches: defaultdict[int, Any] = defaultdict(producer.create_batch)
        received_at = str(int(time.time() * 1000)).encode()
        for event in events(number, seed=seed):
            key = str(event["session_id"]).encode()
            partition = (murmur2(key) & 0x7FFFFFFF) % settings.partitions
            headers = [
                ("event_id", str(event["event_id"]).encode()),
                ("application", b"bench"),
                ("received_at", received_at),
                ("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
            ]
            batch = batches[partition]
            if batch.append(timestamp=None, key=key, value=encoded(event), headers=headers) is None:
                waiting.append(await producer.send_batch(batch, topic, partition=partition))
                batches[partition] = producer.create_batch()
                batches[partition].append(timestamp=None, key=key, value=encoded(event), headers=headers)
        for partition, batch in batches.items():
            waiting.append(await producer.send_batch(batch, topic, partition=partition))
        await asyncio.gather(*waiting)
    finally:
        await producer.stop()
