"""A consumer is stopped within a bound."""

from __future__ import annotations

import asyncio

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from kafka_client.consumers import stop_consumer


class Consumer:
    """A consumer whose stop waits for something that `ends`, or never does."""

    def __init__(self, ends: bool, error: Exception | None = None) -> None:
        self.cut_off = self.stopped = False
        self._ends, self._error = ends, error
        self._client = self

    async def stop(self) -> None:
        if self._error is not None:
            raise self._error
        if not self._ends:
            await asyncio.Event().wait()
        self.stopped = True

    async def close(self) -> None:
        self.cut_off = True


async def test_one_that_ends_is_left_to_end() -> None:
    consumer = Consumer(ends=True)

    await stop_consumer(consumer, 5)

    assert (consumer.stopped, consumer.cut_off) == (True, False)


async def test_one_that_does_not_end_is_cut_off() -> None:
    consumer = Consumer(ends=False)

    async with asyncio.timeout(5):
        await stop_consumer(consumer, 0.05)

    assert (consumer.stopped, consumer.cut_off) == (False, True)


async def test_an_error_of_kafka_while_it_stops_is_no_concern() -> None:
    await stop_consumer(Consumer(ends=True, error=KafkaError("away")), 5)


async def test_aiokafkas_consumer_has_the_client_that_is_closed() -> None:
    consumer = AIOKafkaConsumer(bootstrap_servers="127.0.0.1:1")
    await consumer.stop()

    assert hasattr(consumer._client, "close")
