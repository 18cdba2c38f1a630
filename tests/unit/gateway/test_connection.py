"""What the connection relies on in aiokafka beyond its documented face; a new version has to keep it."""

from __future__ import annotations

from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.structs import TopicPartition

from gateway.publish.producer import BATCH_BYTES, abandon


async def a_producer() -> Any:
    return AIOKafkaProducer(bootstrap_servers="127.0.0.1:1", enable_idempotence=True, max_batch_size=BATCH_BYTES)


async def test_an_abandoned_producer_fails_its_batches_and_stops() -> None:
    producer = await a_producer()
    accumulator, partition = producer._message_accumulator, TopicPartition("t", 0)
    waiting = await accumulator.add_batch(a_batch(producer), partition, timeout=1)
    assert producer._sender.sender_task is None

    await abandon(producer)

    assert "given up" in str(waiting.exception() if waiting.done() else await failure_of(waiting))
    assert not accumulator._batches
    await producer.stop()


async def failure_of(waiting: Any) -> BaseException:
    try:
        await waiting
    except BaseException as error:
        return error
    raise AssertionError("it did not fail")


def a_batch(producer: Any) -> Any:
    batch = producer.create_batch()
    assert batch.append(timestamp=1, key=b"k", value=b"v", headers=[("h", b"x")]) is not None
    return batch


async def test_a_batch_is_full_just_below_what_a_topic_takes() -> None:
    producer = await a_producer()
    batch = producer.create_batch()

    while batch.append(timestamp=1, key=b"k", value=b"x" * 50_000, headers=[]) is not None:
        pass

    assert BATCH_BYTES - 51_000 < batch.size() <= BATCH_BYTES < 1_048_588
    await producer.stop()
