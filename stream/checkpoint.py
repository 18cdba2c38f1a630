"""One Kafka transaction for each chunk: its results and the raw topic's next offset."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import MessageSizeTooLargeError, RecordListTooLargeError

from kafka_client.background_tasks import background_tasks, check_tasks, end_sender
from kafka_client.cluster_guard import ClusterGuard, guarded
from kafka_client.topic_limits import limit_batches
from schemas.record import Headers
from schemas.settings import Settings
from schemas.topics import largest_records
from stream.batch_limits import MAX_BATCH_BYTES, BatchLimits
from stream.runner.work import BatchRefused, RecordRefused

log = logging.getLogger(__name__)

_REQUEST_MS = 30_000
_TRANSACTION_MS = 60_000
_RETRY_MS = 20
_OPEN_SECONDS = 30.0
_DONE_SECONDS = 20.0
"""Time for a chunk's transaction; then its producer is replaced, though the broker may answer others."""
_REASON_SECONDS = 1.0
_STOP_SECONDS = 2.0
_END_SECONDS = 1.0

_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)

OutgoingRecord = tuple[bytes | None, bytes, Headers]
"""A record to write: key, value, headers."""


class Checkpoint:
    """The transactions of one raw partition, under a transactional id of its own.

    Only the last opener can commit: the open transaction of an earlier one is aborted, and its later ones fail.
    """

    def __init__(
        self,
        settings: Settings,
        group: str,
        raw: TopicPartition,
        targets: Sequence[str],
        guard: ClusterGuard | None = None,
    ) -> None:
        self._options = guarded(settings.kafka_client(), guard, f"{group}-{raw.topic}-{raw.partition}")
        self._targets = targets
        self._limits = BatchLimits(targets, largest_records(settings))
        self._group = group
        self._raw = raw
        self._producer: AIOKafkaProducer | None = None

    async def open(self) -> None:
        """Fence every earlier owner. Raises KafkaError or TimeoutError; then close it."""
        self._producer = AIOKafkaProducer(
            **self._options,
            transactional_id=f"{self._group}-{self._raw.topic}-{self._raw.partition}",
            transaction_timeout_ms=_TRANSACTION_MS,
            request_timeout_ms=_REQUEST_MS,
            max_batch_size=MAX_BATCH_BYTES,
            retry_backoff_ms=_RETRY_MS,
        )
        async with asyncio.timeout(_OPEN_SECONDS):
            await self._producer.start()
            for topic in self._targets:  # known beforehand, a transaction's first batches go out together
                await self._producer.partitions_for(topic)
            await self._limits.refresh(self._producer.client)

    @asynccontextmanager
    async def transaction(self, next_offset: int) -> AsyncIterator[Transaction]:
        """Commit the records written in the body together with the raw topic's offset, all or nothing.

        Raises KafkaError or TimeoutError when the outcome is unknown, RecordRefused or BatchRefused when a topic does
        not take what was written; then close and open the checkpoint again, and read the committed offset.
        """
        assert self._producer is not None, "the checkpoint is not open"
        async with _while_tasks_run(self._producer, _DONE_SECONDS):
            await self._limits.refresh(self._producer.client)
            await self._producer.begin_transaction()
            transaction = Transaction(self._producer, self._raw.partition, self._limits)
            yield transaction
            await asyncio.gather(
                self._producer.send_offsets_to_transaction({self._raw: next_offset}, self._group),
                transaction.delivered(),
            )
            await self._producer.commit_transaction()

    async def close(self) -> None:
        """Stop the producer; the next `open`, of any process, aborts a transaction that is still open."""
        producer, self._producer = self._producer, None
        if producer is None:
            return
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await producer.stop()
        except Exception as error:
            log.debug("producer of %s:%d cut off: %r", *self._raw, error)
            with suppress(Exception, asyncio.CancelledError):
                await end_sender(producer, _END_SECONDS)  # it would reconnect otherwise
                await producer.client.close()


@asynccontextmanager
async def _while_tasks_run(producer: AIOKafkaProducer, seconds: float) -> AsyncIterator[None]:
    """Bound the body's time. Raises TimeoutError, and TaskEnded soon after a background task of the producer ends.

    A producer that knows why it ends, as one that was fenced, tells the body itself.
    """
    check_tasks(producer)
    tasks = [task for task in background_tasks(producer).values() if task is not None]
    now = asyncio.get_running_loop().time
    limit = asyncio.timeout(seconds)

    def end(_: object) -> None:
        with suppress(RuntimeError):  # it is over already
            limit.reschedule(now() + _REASON_SECONDS)

    try:
        async with limit:
            for task in tasks:
                task.add_done_callback(end)
            yield
    except TimeoutError:
        check_tasks(producer)
        raise
    finally:
        for task in tasks:
            task.remove_done_callback(end)


class _Delivery(NamedTuple):
    topic: str
    records: int
    bytes: int
    done: asyncio.Future[object]


class Transaction:
    """The records of one transaction; each goes to the partition of its raw record."""

    def __init__(self, producer: Any, partition: int, limits: BatchLimits) -> None:
        self._producer = producer
        self._partition = partition
        self._limits = limits
        self._deliveries: list[_Delivery] = []

    async def write(self, topic: str, records: Iterable[OutgoingRecord]) -> None:
        """Write records to a topic in order. Raises KafkaError, and ValueError for a record that is too large."""
        batch = self._new_batch(topic)
        for key, value, headers in records:
            if len(value) > MAX_BATCH_BYTES:
                raise ValueError(f"a record for {topic} has more than {MAX_BATCH_BYTES} bytes")
            if batch.append(timestamp=None, key=key, value=value, headers=headers) is None:
                await self._send(topic, batch)
                batch = self._new_batch(topic)
                batch.append(timestamp=None, key=key, value=value, headers=headers)
        if batch.record_count():
            await self._send(topic, batch)

    def _new_batch(self, topic: str) -> Any:
        limit_batches(self._producer, self._limits.batch_bytes(topic))
        return self._producer.create_batch()

    async def _send(self, topic: str, batch: Any) -> None:
        records, size = batch.record_count(), batch.size()
        done = await self._producer.send_batch(batch, topic, partition=self._partition)
        self._deliveries.append(_Delivery(topic, records, size, done))

    async def delivered(self) -> None:
        """Wait until the broker has acknowledged all records. Raises KafkaError, RecordRefused or BatchRefused."""
        if not self._deliveries:
            return
        await asyncio.wait([delivery.done for delivery in self._deliveries], return_when=asyncio.FIRST_EXCEPTION)
        ended = [one for one in self._deliveries if one.done.done()]
        for delivery in ended:
            if not delivery.done.cancelled() and isinstance(error := delivery.done.exception(), _TOO_LARGE):
                raise self._refusal(delivery) from error
        for delivery in ended:
            delivery.done.result()

    def _refusal(self, delivery: _Delivery) -> Exception:
        """Return the error for a batch that its topic finds too large; smaller ones are tried next time."""
        topic, records, size, _ = delivery
        limit = self._limits.max_message_bytes(topic)
        if records == 1:
            self._limits.ask_again()
            return RecordRefused(topic, size, limit)
        self._limits.note_refusal(topic, size)
        return BatchRefused(f"{topic} takes no batch of {size:,} bytes; its {records} records go in smaller ones")
