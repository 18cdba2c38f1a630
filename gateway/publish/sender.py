"""The sender: one batch to one partition, acknowledged, refused for its size, or undelivered."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

from aiokafka.errors import MessageSizeTooLargeError, RecordListTooLargeError

from gateway.metrics import Metrics
from gateway.outgoing import OutgoingRecord
from gateway.publish.connection import Connection
from gateway.publish.producer import rewind_sequence
from schemas.record import place

log = logging.getLogger(__name__)


class Undelivered(Exception):
    """Kafka did not take a batch for good, or there is no connection to send it by."""


class TooLargeForTopic(Exception):
    """The topic takes no batch of this size (`max.message.bytes`); the next batch may be sent."""


class Sender:
    """Sends batches to one topic; a partition has at most one in flight."""

    def __init__(self, topic: str, connection: Connection, metrics: Metrics) -> None:
        self._topic = topic
        self._connection = connection
        self._metrics = metrics

    @property
    def partitions(self) -> int:
        """The number of the topic's partitions; 0 while it is not known."""
        return self._connection.partitions

    @property
    def kept_ms(self) -> int:
        """The time for which Kafka keeps a record, in milliseconds after its timestamp."""
        return self._connection.kept_ms

    @property
    def connected(self) -> bool:
        """Tell whether there is a producer to send with."""
        return self._connection.producer is not None

    async def send(self, partition: int, fill: Callable[[Any], None]) -> None:
        """Send a batch that `fill` puts records into; return when it is acknowledged by all in-sync replicas.

        Raises TooLargeForTopic, or Undelivered where it failed for good or there is no connection.
        """
        producer, in_flight = self._connection.producer, self._connection.in_flight_since
        if producer is None:
            raise Undelivered("there is no connection to Kafka")
        batch = producer.create_batch()
        fill(batch)
        clock, records = asyncio.get_running_loop().time, batch.record_count()
        if not records:
            return
        in_flight[partition] = sent_at = clock()
        try:
            acknowledged = await producer.send_batch(batch, self._topic, partition=partition)
            await acknowledged
        except (MessageSizeTooLargeError, RecordListTooLargeError) as error:
            rewind_sequence(producer, self._topic, partition, records)
            self._connection.learn_limit()
            raise TooLargeForTopic(f"{records} records") from error
        except Exception as error:
            log.error(
                "a batch of %d events for partition %d failed: %r",
                records,
                partition,
                error,
                extra=place(self._topic, partition),
            )
            self._metrics.failed_batches.inc()
            self._connection.report(producer, error)
            raise Undelivered(str(error)) from error
        finally:
            del in_flight[partition]
        self._metrics.acknowledge_seconds.observe(clock() - sent_at)
        self._metrics.batch_records.observe(records)


async def send_all(
    sender: Sender,
    partition: int,
    records: Sequence[OutgoingRecord],
    acknowledged: Callable[[int], None],
    refused: Callable[[], None],
) -> None:
    """Send records in their order, and call for each: `acknowledged` with how many, or `refused` for the next one.

    A batch that the topic finds too large is halved, down to the one record that it does not take; the records
    around it go on. Kafka deletes a record by its timestamp, and takes none of the future, so one that it would not
    keep for long, or not take, has that of the present; when it was received stands in its headers. Raises Undelivered;
    the records that no call was made for are not known to be in Kafka.
    """
    sent = fitting = 0

    def fill(batch: Any) -> None:
        nonlocal fitting
        now = int(time.time() * 1000)
        for key, value, headers, received in records[sent:]:
            timestamp = lasting(received, now, sender.kept_ms)
            if batch.append(timestamp=timestamp, key=key, value=value, headers=headers) is None:
                break
            fitting += 1

    while sent < len(records):
        fitting = sent
        try:
            await sender.send(partition, fill)
        except TooLargeForTopic:
            await send_halves(sender, partition, records[sent:fitting], acknowledged, refused)
        else:
            acknowledged(fitting - sent)
        sent = fitting


def lasting(timestamp: int, now: int, kept_ms: int) -> int:
    """Return a timestamp that Kafka takes, and keeps for half of `kept_ms` at least; all in milliseconds."""
    return timestamp if now - kept_ms // 2 < timestamp <= now else now


async def send_halves(
    sender: Sender,
    partition: int,
    records: Sequence[OutgoingRecord],
    acknowledged: Callable[[int], None],
    refused: Callable[[], None],
) -> None:
    """Send records again whose batch was too large, each half by itself; see `send_all`."""
    if len(records) == 1:
        log.warning("an event of %d bytes is too large for partition %d of the topic", len(records[0].value), partition)
        refused()
        return
    middle = len(records) // 2
    for half in (records[:middle], records[middle:]):
        await send_all(sender, partition, half, acknowledged, refused)
