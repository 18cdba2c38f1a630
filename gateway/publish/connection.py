"""The connection to Kafka: one idempotent producer, kept alive."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Callable
from typing import Any, TypeVar

from aiokafka import AIOKafkaProducer
from aiokafka.client import ConnectionGroup
from aiokafka.errors import KafkaError
from aiokafka.protocol.metadata import MetadataRequest

from schemas.settings import Settings

log = logging.getLogger(__name__)

T = TypeVar("T")

BATCH_BYTES = 1_000_000
"""Largest batch; a topic takes 1,048,588 bytes unless told otherwise."""

REQUEST_SECONDS = 10.0
"""How long the client waits for one answer of a broker before it connects anew."""

RETRY_MS = 200
"""Pause of the client before it tries again; each try of an absent broker is three lines in the log."""

CONNECT_SECONDS = 10.0
"""How long a producer may take to start."""

PROBE_SECONDS = 1.0
"""How often the broker is asked for the topic's partitions, and how long it may take to answer."""

SILENT_SECONDS = 15.0
"""After this long without an answer the producer is replaced: the brokers may have moved."""

CLOSE_SECONDS = 1.5
"""How long a producer that is given up may take to deliver what it has."""

_PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0)


class Connection:
    """Connects when Kafka comes, and replaces a producer that broke for good.

    `producer` is there while there is one to write with; `partitions` is the number of the topic's
    partitions as of a second ago. `fault` says what keeps events from being written, None when nothing does;
    `tried` is false until that is known for the first time.
    """

    def __init__(self, settings: Settings, topic: str, *, on_connect: Callable[[], None]) -> None:
        self._options = settings.kafka_client()
        self._topic = topic
        self._on_connect = on_connect
        self._broken = asyncio.Event()
        self._answered_at = 0.0
        self.producer: Any = None
        self.partitions = 0
        self.fault: str | None = "not connected to Kafka yet"
        self.tried = False

    async def keep(self) -> None:
        """Keep a producer until cancelled; the last one is closed then."""
        failures = 0
        while True:
            try:
                producer = await self._start()
            except Exception as error:
                self.fault = f"Kafka at {self._options['bootstrap_servers']} can't be reached: {_text(error)}"
                self.tried = True
                log.warning("%s", self.fault)
                await asyncio.sleep(_PAUSES[min(failures, len(_PAUSES) - 1)])
                failures += 1
                continue
            failures = 0
            try:
                await self._watch(producer)
            except Exception:
                log.exception("watching the connection to Kafka failed; it is made anew")
            finally:
                self.producer, self.partitions = None, 0
                self.fault = self.fault or "the connection to Kafka is being renewed"
                await _close(producer)

    def report(self, producer: Any, error: BaseException) -> None:
        """Give a producer up: a batch failed, so that its sequence has a gap and later batches would fail too."""
        if producer is self.producer:
            self.producer = None
            self.fault = f"Kafka refused a batch: {_text(error)}"
            self._broken.set()

    async def _start(self) -> Any:
        producer = AIOKafkaProducer(
            **self._options,
            client_id="eye-gateway",
            acks="all",
            enable_idempotence=True,
            max_batch_size=BATCH_BYTES,
            request_timeout_ms=int(REQUEST_SECONDS * 1000),
            retry_backoff_ms=RETRY_MS,
        )
        starting = asyncio.create_task(producer.start())
        try:
            await _in_time(starting, CONNECT_SECONDS)
        except BaseException:
            await _settle(starting)
            await _close(producer)
            raise
        return producer

    async def _watch(self, producer: Any) -> None:
        """Keep the partitions known; return when the producer is broken or Kafka is silent for long."""
        loop = asyncio.get_running_loop()
        self._broken.clear()
        self._answered_at = loop.time()
        asking = asyncio.create_task(self._ask_partitions(producer))
        try:
            while not self._broken.is_set() and loop.time() - self._answered_at < SILENT_SECONDS:
                await self._take_answer(producer, asking)
                taken = asking.done()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(PROBE_SECONDS):
                        await self._broken.wait()
                if taken:
                    asking = asyncio.create_task(self._ask_partitions(producer))
        finally:
            await _settle(asking)

    async def _take_answer(self, producer: Any, asking: asyncio.Task[int]) -> None:
        try:
            partitions = await _in_time(asking, PROBE_SECONDS)
        except (KafkaError, OSError, TimeoutError) as error:
            self.tried = True
            self.fault = f"Kafka doesn't answer: {_text(error)}"
            return
        if self._broken.is_set():
            return
        self._answered_at = asyncio.get_running_loop().time()
        self.tried = True
        self.partitions = partitions
        if not partitions:
            self.producer = None
            self.fault = f"topic {self._topic} doesn't exist: make it with `eye topics create`"
            return
        self.fault = None
        if self.producer is None:
            self.producer = producer
            self._on_connect()

    async def _ask_partitions(self, producer: Any) -> int:
        """Return how many partitions the topic has, 0 where there is no such topic; never has it made."""
        client = producer.client
        # asking through the producer itself would make a broker with auto.create.topics create the topic
        request = MetadataRequest([self._topic], allow_auto_topic_creation=False)
        # on a connection of its own: a broker answers in turn, and a batch may wait for replicas
        response = await client.send(client.get_random_node(), request, group=ConnectionGroup.COORDINATION)
        count = sum(len(topic[3]) for topic in response.topics if topic[0] == 0)
        if count and len(client.cluster.partitions_for_topic(self._topic) or ()) != count:
            await client.force_metadata_update()
        return count


async def _in_time(task: asyncio.Task[T], seconds: float) -> T:
    """Wait for a task without cancelling it. Raises TimeoutError, or as the task does."""
    await asyncio.wait([task], timeout=seconds)
    if not task.done():
        raise TimeoutError(f"no answer within {seconds:g} s")
    return task.result()


async def _settle(task: asyncio.Task[Any]) -> None:
    """Give a task a moment to end by itself: cancelled while it connects, aiokafka forgets the open connection."""
    try:
        await asyncio.wait([task], timeout=CLOSE_SECONDS)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _close(producer: Any) -> None:
    """Close a producer in whatever state; what it can't deliver at once fails."""
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await producer.flush()
    except TimeoutError:
        await _abandon(producer)
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await producer.stop()
    except Exception as error:
        log.warning("a producer couldn't be closed in good order: %r", error)


async def _abandon(producer: Any) -> None:
    """End the sender of a producer whose broker is away: `stop` would wait for the broker."""
    task = producer._sender.sender_task
    while task is not None and not task.done():
        task.cancel()  # the first time it goes on to wait for the requests under way
        await asyncio.wait([task], timeout=0.1)
    # not fail_all: that one leaves errors in the log for batches that were tried before
    accumulator = producer._message_accumulator
    accumulator._pending_batches.update(itertools.chain.from_iterable(accumulator._batches.values()))
    accumulator._batches.clear()
    for batch in accumulator._pending_batches:
        if not batch.future.done():
            batch.future.set_exception(KafkaError("the producer was given up"))


def _text(error: BaseException) -> str:
    return str(error) or type(error).__name__
