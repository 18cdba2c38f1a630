"""Sending of spooled records as the gateway does it, and the search for those that Kafka has already."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from aiokafka import TopicPartition
from aiokafka.errors import TopicAuthorizationFailedError

from eye.operations.clusters import spool_guard
from eye.operations.spools.errors import SpoolError
from gateway.metrics import Metrics
from gateway.outgoing import OutgoingRecord
from gateway.publish.connection import Connection
from gateway.publish.sender import Sender
from schemas.record import APPLICATION, EVENT_ID
from schemas.settings import Settings
from schemas.topics import topic_names
from stream.runner.kafka_reader import Lookup

CONNECT_SECONDS = 20.0
CLOCK_MARGIN = timedelta(minutes=5)
"""A copy is looked for from so long before the time of its record on: brokers' clocks may stamp it."""

_READ_RECORDS = 5_000
_POLL_SECONDS = 0.05
_STOP_SECONDS = 6.0


class Identity(NamedTuple):
    """The fields that two copies of one record have in common."""

    application: bytes
    event_id: bytes
    key: bytes | None
    value: bytes | None


class Link(NamedTuple):
    """A connection to Kafka, the sender that uses it, and the number of partitions when it was made."""

    connection: Connection
    sender: Sender
    partitions: int


@asynccontextmanager
async def linked(settings: Settings) -> AsyncIterator[Link]:
    """Lend a sender that is connected to the raw topic. Raises SpoolError when Kafka is away, or another cluster."""
    topic = topic_names(settings).raw
    connection = Connection(settings, topic, on_connect=lambda: None, guard=spool_guard(settings))
    keeping = asyncio.create_task(connection.keep(), name="kafka connection")
    try:
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                while connection.producer is None:  # noqa: ASYNC110 - asked, not told
                    await asyncio.sleep(_POLL_SECONDS)
        except TimeoutError:
            raise SpoolError(f"nothing was sent: {connection.fault}") from None
        yield Link(connection, Sender(topic, connection, Metrics()), connection.partitions)
    finally:
        keeping.cancel()
        await asyncio.wait([keeping], timeout=_STOP_SECONDS)


def identity_of(record: OutgoingRecord) -> Identity:
    """Return what a copy of a record would have in common with it."""
    headers = dict(record.headers)
    return Identity(headers.get(APPLICATION, b""), headers.get(EVENT_ID, b""), record.key, record.value)


async def find_copies(settings: Settings, records: Iterable[OutgoingRecord], partitions: int) -> set[Identity]:
    """Return which of these records the raw topic has already, whatever their partition; reads it from their time on.

    Raises KafkaError, and SpoolError where the topic must not be read.
    """
    wanted = {identity_of(record): record.timestamp for record in records}
    if not wanted:
        return set()
    topic = topic_names(settings).raw
    since = min(datetime.fromtimestamp(min(wanted.values()) / 1000, UTC), datetime.now(UTC)) - CLOCK_MARGIN
    found: set[Identity] = set()
    try:
        async with Lookup(settings, committed_only=False) as lookup:
            for tp in (TopicPartition(topic, number) for number in range(partitions)):
                start, (_, end) = await lookup.offset_at(tp, since), await lookup.bounds(tp)
                async for chunk in lookup.chunks(tp, end if start is None else start, end, _READ_RECORDS):
                    for one in chunk.records:
                        headers = dict(one.headers)
                        identity = Identity(
                            headers.get(APPLICATION) or b"", headers.get(EVENT_ID) or b"", one.key, one.value
                        )
                        if identity in wanted:
                            found.add(identity)
    except TopicAuthorizationFailedError as error:
        raise SpoolError(
            f"nothing was sent: Kafka's user lacks the right Read on {topic}, and without it an event could be"
            " written twice (deploy/kafka/acls.sh gives it to eye-gateway)"
        ) from error
    except LookupError as error:
        raise SpoolError(f"nothing was sent: {error}") from error
    return found
