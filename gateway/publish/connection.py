"""The connection to Kafka: one idempotent producer, kept alive and replaced when it breaks or wedges.

A Kafka that is another cluster than the remembered one counts as away: nothing is written to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any

from aiokafka.client import ConnectionGroup
from aiokafka.errors import KafkaError

from gateway.publish.producer import (
    BATCH_BYTES,
    ask_partitions,
    close_producer,
    in_time,
    settle,
    start_producer,
)
from kafka_client.background_tasks import ended_task
from kafka_client.cluster_guard import ClusterGuard, guarded
from kafka_client.topic_limits import ask_topic_limits, limit_batches
from schemas.settings import Settings
from schemas.topics import largest_records, record_limit_fault

log = logging.getLogger(__name__)

PROBE_SECONDS = 1.0
"""Time between two questions for the topic's partitions, and for the answer of the broker."""

SILENT_SECONDS = 15.0
"""After this long without an answer the producer is replaced: the brokers may have moved."""

IN_FLIGHT_SECONDS = 15.0
"""After this long without an acknowledgement the producer is replaced, though the broker answers."""

LIMIT_SECONDS = 60.0
"""Time between two questions for the topic's max.message.bytes."""

_PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0)


class Connection:
    """Connects when Kafka comes, and replaces a producer that broke, wedged, or lost a background task.

    `producer` is there while there is one to write with; `partitions` is the number of the topic's
    partitions as of a second ago, `max_batch_bytes` the largest batch that it takes. `fault` is the reason, in a
    sentence, for which events can't be written, else None; `limit_fault` says that the topic takes no batch of the size
    that an event may have, or that nobody knows; `tried` is false until that is known for the first time.
    `refusal` is the last error for which a batch was given up.
    `kept_ms` is the time for which Kafka keeps a record of the topic, in milliseconds.
    `in_flight_since` has the time of the loop's clock at which each partition's batch in flight was sent.
    """

    def __init__(self, settings: Settings, topic: str, *, on_connect: Callable[[], None], guard: ClusterGuard) -> None:
        self._options = settings.kafka_client()
        self._guard = guard
        self._topic = topic
        self._on_connect = on_connect
        self._broken = asyncio.Event()
        self._answered_at = 0.0
        self._limit_due = 0.0
        self.producer: Any = None
        self.partitions = 0
        self.max_batch_bytes = BATCH_BYTES
        self.in_flight_since: dict[int, float] = {}
        self.fault: str | None = "not connected to Kafka yet"
        self.limit_fault: str | None = None
        self.refusal: BaseException | None = None
        self.kept_ms = settings.raw_retention_hours * 3_600_000
        self._largest_record = largest_records(settings)[topic]
        self.tried = False

    async def keep(self) -> None:
        """Keep a producer until cancelled; the last one is closed then."""
        failures = 0
        while True:
            try:
                producer = await self._connect()
            except Exception as error:
                away = f"Kafka at {self._options['bootstrap_servers']} can't be reached: {_text(error)}"
                self.fault = self._guard.fault or away
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
                await close_producer(producer)

    def report(self, producer: Any, error: BaseException) -> None:
        """Give a producer up: a batch failed, so that its sequence has a gap and later batches would fail too."""
        if producer is self.producer:
            self.producer = None
            self.refusal = error
            self.fault = f"Kafka refused a batch: {_text(error)}"
            self._broken.set()

    def learn_limit(self) -> None:
        """Ask for the topic's max.message.bytes with the next probe: it has changed."""
        self._limit_due = 0.0

    def oldest_in_flight(self) -> float | None:
        """Return the time at which the oldest batch in flight was sent, on the loop's clock."""
        return min(self.in_flight_since.values(), default=None)

    async def _connect(self) -> Any:
        """Return a producer that is connected to our cluster; which one that is may have been accepted meanwhile."""
        if self._guard.known is None or self._guard.fault is not None:
            await self._guard.learn(self._options)
        return await start_producer(guarded(self._options, self._guard, "eye-gateway"))

    async def _watch(self, producer: Any) -> None:
        """Keep the partitions known; return when the producer is broken or wedged, or Kafka is silent for long."""
        loop = asyncio.get_running_loop()
        self._broken.clear()
        self._answered_at, self._limit_due = loop.time(), 0.0
        asking = asyncio.create_task(self._ask(producer))
        try:
            while not self._broken.is_set() and loop.time() - self._answered_at < SILENT_SECONDS:
                await self._take_answer(producer, asking)
                if (wedged := self._wedged(producer)) is not None:
                    self.fault = f"the connection to Kafka is being renewed: {wedged}"
                    log.error("%s", self.fault)
                    return
                taken = asking.done()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(PROBE_SECONDS):
                        await self._broken.wait()
                if taken:
                    asking = asyncio.create_task(self._ask(producer))
        finally:
            await settle(asking)

    def _wedged(self, producer: Any) -> str | None:
        """Return the reason for which a producer will not go on by itself, though the broker may answer."""
        if (name := ended_task(producer)) is not None:
            return f"the client's {name} has ended"
        sent_at = self.oldest_in_flight()
        if sent_at is not None and asyncio.get_running_loop().time() - sent_at > IN_FLIGHT_SECONDS:
            return f"a batch is in flight for more than {IN_FLIGHT_SECONDS:g} s"
        return None

    async def _take_answer(self, producer: Any, asking: asyncio.Task[int]) -> None:
        try:
            partitions = await in_time(asking, PROBE_SECONDS)
        except (KafkaError, OSError, TimeoutError) as error:
            self.tried = True
            self.fault = self._guard.fault or f"Kafka doesn't answer: {_text(error)}"
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

    async def _ask(self, producer: Any) -> int:
        """Return how many partitions the topic has; its limit is asked for as well when that is due."""
        partitions = await ask_partitions(producer, self._topic)
        now = asyncio.get_running_loop().time()
        if partitions and now >= self._limit_due:
            self._limit_due = now + LIMIT_SECONDS
            try:
                await self._learn(producer)
            except (KafkaError, OSError, TimeoutError) as error:  # batches are split where they are refused
                log.info("the largest record of %s is not known: %r", self._topic, error)
        return partitions

    async def _learn(self, producer: Any) -> None:
        """Shape new batches by the topic's max.message.bytes, and hold it against the largest record."""
        # on a connection of its own: a broker answers in turn, and a batch may wait for replicas
        limits = await ask_topic_limits(producer.client, [self._topic], ConnectionGroup.COORDINATION)
        limit = limits[self._topic]
        self.max_batch_bytes = min(BATCH_BYTES, limit.bytes or BATCH_BYTES)
        limit_batches(producer, self.max_batch_bytes)
        known, self.limit_fault = self.limit_fault, limit.fault
        if limit.bytes is not None:
            self.limit_fault = record_limit_fault(self._topic, limit.bytes, self._largest_record)
        if self.limit_fault not in (None, known):
            log.warning("%s", self.limit_fault)


def _text(error: BaseException) -> str:
    return str(error) or type(error).__name__
