"""Wait until accepted events are judged and stored."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import psycopg
from aiokafka import TopicPartition
from psycopg.conninfo import make_conninfo

from gateway.query.kafka_reader import committed_offsets
from postgres_client.connection import READ, Connection
from schemas.settings import Settings
from schemas.topics import sink_names, topic_names
from sinks.positions import read_positions
from stream.runner.kafka_reader import Lookup

Positions = Mapping[TopicPartition, int]

_POLL_SECONDS = 0.1

_CONNECT_SECONDS = 5


class NotStoredInTime(Exception):
    """Something did not arrive in time; the message says what and where."""


async def wait_until_stored(settings: Settings, seconds: float = 60.0) -> None:
    """Wait until everything that is in the raw topic now is in Postgres. Raises NotStoredInTime."""
    deadline = asyncio.get_running_loop().time() + seconds
    async with Lookup(settings) as lookup:
        raw = {tp: (await lookup.bounds(tp))[1] for tp in _partitions(settings, topic_names(settings).raw)}
        await _reach(raw, lambda: judged_positions(settings), deadline)
    await wait_until_verdicts_stored(settings, deadline - asyncio.get_running_loop().time())


async def wait_until_verdicts_stored(settings: Settings, seconds: float = 60.0) -> None:
    """Wait until everything that the stream has published by now is in Postgres. Raises NotStoredInTime."""
    topics = topic_names(settings)
    deadline = asyncio.get_running_loop().time() + seconds
    async with Lookup(settings) as lookup:
        stored = await stored_positions(settings)
        written = {
            tp: await _after_last_record(lookup, tp, stored.get(tp, 0))
            for topic in (topics.validated, topics.rejected, topics.sessions)
            for tp in _partitions(settings, topic)
        }
        await _reach(written, lambda: stored_positions(settings), deadline)


async def judged_positions(settings: Settings) -> Positions:
    """Return how far the stream has committed the raw topic."""
    return await committed_offsets(settings, settings.stream_group)


async def stored_positions(settings: Settings) -> Positions:
    """Return how far the sinks have stored each topic."""
    dsn = make_conninfo(settings.dsn, connect_timeout=_CONNECT_SECONDS)
    async with await Connection.connect(dsn, session=READ) as connection:
        return await read_stored_positions(connection, settings)


async def read_stored_positions(connection: psycopg.AsyncConnection, settings: Settings) -> Positions:
    """Return how far the sinks have stored each topic, as a transaction of the caller's sees it."""
    return await read_positions(connection, sink_names(settings))


def _partitions(settings: Settings, topic: str) -> list[TopicPartition]:
    return [TopicPartition(topic, partition) for partition in range(settings.partitions)]


async def _reach(wanted: Positions, positions: Callable[[], Awaitable[Positions]], deadline: float) -> None:
    while True:
        reached = await positions()
        short = [tp for tp, end in wanted.items() if reached.get(tp, 0) < end]
        if not short:
            return
        if asyncio.get_running_loop().time() > deadline:
            tp = short[0]
            raise NotStoredInTime(f"{tp.topic}:{tp.partition} is at {reached.get(tp, 0)}, and goes on to {wanted[tp]}")
        await asyncio.sleep(_POLL_SECONDS)


async def _after_last_record(lookup: Lookup, tp: TopicPartition, position: int) -> int:
    """Return the offset after a partition's last record; the transaction markers behind it are none."""
    async for record in lookup.read(tp, offset=position):
        position = record.offset + 1
    return position
