"""The largest batch that each of the stream's topics takes: as the topic says, or found out by trying."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka.errors import KafkaError

from kafka_client.topic_limits import ask_topic_limits
from schemas.topics import record_limit_fault

log = logging.getLogger(__name__)

MAX_BATCH_BYTES = 900_000
"""Size of the largest batch; brokers accept 1 MiB by default, overhead included."""

_ASK_SECONDS = 60.0
_ANSWER_SECONDS = 5.0


class BatchLimits:
    """Limits of topics; where Kafka's user may not ask, half of what was refused, and more again from time to time.

    `largest` has the largest record of each topic, to be held against its limit.
    """

    def __init__(self, topics: Sequence[str], largest: Mapping[str, int]) -> None:
        self._topics = topics
        self._largest = largest
        self._known: dict[str, int | None] = dict.fromkeys(topics)
        self._tried = dict.fromkeys(topics, MAX_BATCH_BYTES)
        self._faults: dict[str, str] = {}
        self._asked_at: float | None = None

    def batch_bytes(self, topic: str) -> int:
        """Return how large a batch may be; one of a single record may be larger."""
        return min(self._known.get(topic) or MAX_BATCH_BYTES, self._tried.get(topic, MAX_BATCH_BYTES))

    def max_message_bytes(self, topic: str) -> int | None:
        """Return the topic's limit; None where it is not known."""
        return self._known.get(topic)

    def note_refusal(self, topic: str, size: int) -> None:
        """Take note that the topic did not take a batch of so many bytes, with more than one record in it."""
        self._tried[topic] = max(min(size, self.batch_bytes(topic)) // 2, 1)
        self._asked_at = None

    def ask_again(self) -> None:
        """Ask at the next opportunity: a limit may have changed."""
        self._asked_at = None

    async def refresh(self, client: Any) -> None:
        """Ask for the limits, at most once a minute unless one was refused since; never raises KafkaError."""
        now = time.monotonic()
        if self._asked_at is not None and now - self._asked_at < _ASK_SECONDS:
            return
        if self._asked_at is not None:
            self._tried = {topic: min(2 * size, MAX_BATCH_BYTES) for topic, size in self._tried.items()}
        self._asked_at = now
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                limits = await ask_topic_limits(client, self._topics)
        except (KafkaError, OSError, TimeoutError) as error:
            log.info("the limits of the topics are not known: %r", error)
            return
        for topic, limit in limits.items():
            self._known[topic] = limit.bytes
            if limit.bytes is not None:
                self._tried[topic] = MAX_BATCH_BYTES
            self._remark(topic, limit.fault)

    def _remark(self, topic: str, fault: str | None) -> None:
        """Log once what is wrong with a topic's limit."""
        limit = self._known[topic]
        if limit is not None and topic in self._largest:
            fault = record_limit_fault(topic, limit, self._largest[topic])
        if fault is not None and self._faults.get(topic) != fault:
            log.warning("%s", fault)
        self._faults[topic] = fault or ""
