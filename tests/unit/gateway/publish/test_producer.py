"""The internals of aiokafka that the producer's module uses; a new version has to keep each of them."""

from __future__ import annotations

from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.structs import TopicPartition

from gateway.publish.producer import BATCH_BYTES, abandon, rewind_sequence
from kafka_client.topic_limits import limit_batches


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


async def test_a_refused_batch_leaves_no_gap_in_the_sequence() -> None:
    producer, partition = await a_producer(), TopicPartition("t", 3)
    producer._txn_manager.increment_sequence_number(partition, 7)
    producer._txn_manager.increment_sequence_number(partition, 5)

    rewind_sequence(producer, "t", 3, 5)

    assert producer._txn_manager.sequence_number(partition) == 7
    await producer.stop()


async def test_batches_are_no_larger_than_the_topic_takes() -> None:
    producer = await a_producer()
    limit_batches(producer, 10_000)
    batch = producer.create_batch()

    while batch.append(timestamp=1, key=b"k", value=b"x" * 1_000, headers=[]) is not None:
        pass

    assert 8_000 < batch.size() <= 10_000
    await producer.stop()


async def test_one_record_always_fits_into_a_batch() -> None:
    producer = await a_producer()
    limit_batches(producer, 1_000)

    assert producer.create_batch().append(timestamp=1, key=b"k", value=b"x" * 5_000, headers=[]) is not None
    await producer.stop()
