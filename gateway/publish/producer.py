"""aiokafka's producer: made, looked after and closed within bounds; the one place that uses its internals.

The internals are those of aiokafka 0.14; tests/unit/gateway/publish/test_producer.py names each of them.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Mapping
from typing import Any, TypeVar

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.client import ConnectionGroup
from aiokafka.errors import KafkaError
from aiokafka.protocol.metadata import MetadataRequest

from kafka_client.background_tasks import end_sender

log = logging.getLogger(__name__)

T = TypeVar("T")

BATCH_BYTES = 1_000_000
"""Largest batch; a topic takes 1,048,588 bytes unless its max.message.bytes says otherwise."""

REQUEST_SECONDS = 10.0
"""Time for one answer of a broker, before the client connects anew."""

RETRY_MS = 200
"""Pause of the client before it tries again; each try of an absent broker is three lines in the log."""

CONNECT_SECONDS = 10.0
"""Time for a producer to start."""

CLOSE_SECONDS = 1.5
"""Time for a producer that is given up to deliver its batches."""


async def start_producer(options: Mapping[str, Any]) -> Any:
    """Return an idempotent producer that is connected. Raises KafkaError, OSError or TimeoutError."""
    producer = AIOKafkaProducer(
        **options,
        acks="all",
        enable_idempotence=True,
        max_batch_size=BATCH_BYTES,
        request_timeout_ms=int(REQUEST_SECONDS * 1000),
        retry_backoff_ms=RETRY_MS,
    )
    starting = asyncio.create_task(producer.start())
    try:
        await in_time(starting, CONNECT_SECONDS)
    except BaseException:
        await settle(starting)
        await close_producer(producer)
        raise
    return producer


async def ask_partitions(producer: Any, topic: str) -> int:
    """Return how many partitions a topic has, 0 where there is no such topic; it is never created by asking.

    Raises KafkaError, OSError or TimeoutError.
    """
    client = producer.client
    # asking through the producer itself would make a broker with auto.create.topics create the topic
    request = MetadataRequest([topic], allow_auto_topic_creation=False)
    # on a connection of its own: a broker answers in turn, and a batch may wait for replicas
    response = await client.send(client.get_random_node(), request, group=ConnectionGroup.COORDINATION)
    count = sum(len(found[3]) for found in response.topics if found[0] == 0)
    if count and len(client.cluster.partitions_for_topic(topic) or ()) != count:
        await client.force_metadata_update()
    return count


def rewind_sequence(producer: Any, topic: str, partition: int, records: int) -> None:
    """Take back the sequence numbers of a batch that the broker refused before it was appended.

    The partition has no other batch in flight. Without this the next batch would be out of sequence.
    """
    producer._txn_manager.increment_sequence_number(TopicPartition(topic, partition), -records)


async def close_producer(producer: Any) -> None:
    """Close a producer in any state; a batch that it can't deliver at once fails."""
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await producer.flush()
    except TimeoutError:
        await abandon(producer)
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await producer.stop()
    except Exception as error:
        log.warning("a producer couldn't be closed in good order: %r", error)


async def abandon(producer: Any) -> None:
    """End the sender of a producer whose broker is away, and fail the batches that it did not send."""
    await end_sender(producer, CLOSE_SECONDS)
    # not fail_all: that one leaves errors in the log for batches that were tried before
    accumulator = producer._message_accumulator
    accumulator._pending_batches.update(itertools.chain.from_iterable(accumulator._batches.values()))
    accumulator._batches.clear()
    for batch in accumulator._pending_batches:
        if not batch.future.done():
            batch.future.set_exception(KafkaError("the producer was given up"))


async def in_time(task: asyncio.Task[T], seconds: float) -> T:
    """Wait for a task without cancelling it. Raises TimeoutError, or as the task does."""
    await asyncio.wait([task], timeout=seconds)
    if not task.done():
        raise TimeoutError(f"no answer within {seconds:g} s")
    return task.result()


async def settle(task: asyncio.Task[Any]) -> None:
    """Give a task a moment to end by itself: cancelled while it connects, aiokafka forgets the open connection."""
    try:
        await asyncio.wait([task], timeout=CLOSE_SECONDS)
    finally:
        task.cancel()
        await asyncio.wait([task], timeout=CLOSE_SECONDS)
