"""Small chunks of several partitions share a transaction, and none of them the trouble of another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest

from schemas.record import RawRecord, Record
from schemas.settings import Settings
from schemas.topics import topic_names
from sinks.group_commit import MAX_RECORDS
from sinks.postgres.pool import Pool
from sinks.table_topics import partition_works
from sinks.tables.refusals import ALWAYS_SET_ASIDE, TooManyRefused
from stream.runner.chunk import Chunk
from stream.runner.work import PartitionWork, PositionMoved
from tests.integration.sinks.event_rows import a_registry, read, refused_events
from tests.unit.sinks.test_binary_builders import (
    a_record,
    a_rejected_event,
    a_session_record,
    a_verdict_record,
    an_accepted_event,
    events,
)

TOPICS = topic_names(Settings())
PARTITIONS = 4


class SinkWorker:
    """The works of one worker on some partitions of all topics, opened."""

    def __init__(self, pool: Pool) -> None:
        works = partition_works(Settings(), pool, a_registry(), _bounds)
        self._works = {(topic, number): works[topic](number) for topic in works for number in range(PARTITIONS)}

    async def open(self) -> SinkWorker:
        for work in self._works.values():
            await work.open()
        return self

    def work(self, topic: str, partition: int) -> PartitionWork:
        return self._works[topic, partition]

    async def process(self, *chunks: Chunk) -> list[Any]:
        """Process chunks at the same time; returns what each raised, None for those that were stored."""
        processing = (self.work(chunk.topic, chunk.partition).process(chunk) for chunk in chunks)
        return await asyncio.gather(*processing, return_exceptions=True)


async def _bounds(topic: str, partition: int) -> tuple[int, int]:
    return 0, 1_000_000


def a_chunk(records: Sequence[RawRecord], partition: int, *, topic: str = TOPICS.validated, start: int = 0) -> Chunk:
    """Make a chunk of records that are placed in a partition from an offset on."""
    placed = [
        Record(topic, partition, start + number, record.timestamp, record.key, record.value, record.headers)
        for number, record in enumerate(records)
    ]
    return Chunk(topic, partition, start, start + len(placed), placed)


async def positions(pool: Pool, topic: str = TOPICS.validated) -> list[tuple[int, int]]:
    """Return next_offset and row_count of each partition of a topic."""
    query = f"select next_offset, row_count from eye.sink_positions where topic = '{topic}' order by partition"
    return await read(pool, query)


async def transactions(pool: Pool) -> int:
    """Return how many transactions the positions that have moved were last written by."""
    [(number,)] = await read(pool, "select count(distinct xmin::text) from eye.sink_positions where next_offset > 0")
    return int(number)


async def count(pool: Pool, table: str) -> int:
    [(number,)] = await read(pool, f"select count(*) from eye.{table}")
    return int(number)


async def test_chunks_that_come_meanwhile_share_the_next_transaction(pool: Pool) -> None:
    worker = await SinkWorker(pool).open()
    accepted = [a_chunk(events(3), partition) for partition in range(4)]
    rejected = [
        a_chunk([a_verdict_record(a_rejected_event())], partition, topic=TOPICS.rejected) for partition in range(4)
    ]
    sessions = [a_chunk([a_session_record(f"s{partition}")], partition, topic=TOPICS.sessions) for partition in (0, 3)]

    assert await worker.process(*accepted, *rejected, *sessions) == [None] * 10

    assert await transactions(pool) == 2  # the first chunk's, and that of all others
    assert await positions(pool) == [(3, 3)] * 4
    assert await positions(pool, TOPICS.rejected) == [(1, 1)] * 4
    assert await positions(pool, TOPICS.sessions) == [(1, 1), (0, 0), (0, 0), (1, 1)]
    assert [await count(pool, table) for table in ("events", "rejected_events", "sessions")] == [12, 4, 2]


async def test_a_large_chunk_has_a_transaction_of_its_own(pool: Pool) -> None:
    worker = await SinkWorker(pool).open()

    await worker.process(*(a_chunk(events(MAX_RECORDS + 1), partition) for partition in range(3)))

    assert await transactions(pool) == 3
    assert await positions(pool) == [(MAX_RECORDS + 1, MAX_RECORDS + 1)] * 3 + [(0, 0)]


async def test_a_lost_partition_stores_nothing_and_the_others_go_on(pool: Pool) -> None:
    worker, successor = await SinkWorker(pool).open(), await SinkWorker(pool).open()
    await successor.process(a_chunk(events(2), 2))

    raised = await worker.process(*(a_chunk(events(3), partition) for partition in range(4)))

    assert [type(each) for each in raised] == [type(None), type(None), PositionMoved, type(None)]
    assert await positions(pool) == [(3, 3), (3, 3), (2, 2), (3, 3)]
    assert await count(pool, "events") == 11


async def test_two_workers_on_the_same_partitions_store_each_chunk_once(pool: Pool) -> None:
    first, second = await SinkWorker(pool).open(), await SinkWorker(pool).open()
    chunks = [a_chunk(events(5), partition) for partition in range(4)]

    raised = await asyncio.gather(first.process(*chunks), second.process(*chunks))

    for one, other in zip(*raised, strict=True):
        assert {type(one), type(other)} == {type(None), PositionMoved}
    assert await positions(pool) == [(5, 5)] * 4
    assert await count(pool, "events") == 20


async def test_an_event_in_several_partitions_is_stored_and_counted_once(pool: Pool) -> None:
    worker = await SinkWorker(pool).open()
    event = a_verdict_record(an_accepted_event())

    assert await worker.process(*(a_chunk([event, *events(1)], partition) for partition in range(4))) == [None] * 4

    assert [next_offset for next_offset, _ in await positions(pool)] == [2] * 4
    assert sum(rows for _, rows in await positions(pool)) == await count(pool, "events") == 5


async def test_events_that_are_stored_already_are_not_stored_again(pool: Pool) -> None:
    worker, known = await SinkWorker(pool).open(), events(3)
    await worker.process(a_chunk(known, 1))

    again = a_chunk([*known, *events(1)], 1, start=3)
    assert await worker.process(a_chunk(events(2), 0), again, a_chunk(events(2), 2)) == [None] * 3

    assert await positions(pool) == [(2, 2), (7, 4), (2, 2), (0, 0)]
    assert await count(pool, "events") == 8


@pytest.mark.parametrize(
    "refused", [a_record(b"no verdict"), refused_events(1)[0]], ids=["unreadable", "refused by Postgres"]
)
async def test_a_refused_record_is_set_aside_and_the_others_are_stored(pool: Pool, refused: RawRecord) -> None:
    worker = await SinkWorker(pool).open()

    chunks = [a_chunk(events(2), 0), a_chunk([*events(1), refused], 1), a_chunk(events(2), 2)]
    assert await worker.process(*chunks) == [None] * 3

    assert await positions(pool) == [(2, 2), (2, 1), (2, 2), (0, 0)]
    assert [await count(pool, table) for table in ("events", "rejected_events")] == [5, 1]


async def test_a_failing_partition_is_stored_alone_until_it_works_again(pool: Pool) -> None:
    worker = await SinkWorker(pool).open()
    failing = a_chunk([a_record(b"no verdict")] * (ALWAYS_SET_ASIDE + 1), 0)

    raised = await worker.process(failing, a_chunk(events(1), 1))
    assert isinstance(raised[0], TooManyRefused)
    assert await positions(pool) == [(0, 0), (1, 1), (0, 0), (0, 0)]

    await worker.process(a_chunk(events(1), 1, start=1), *(a_chunk(events(1), partition) for partition in (0, 2, 3)))
    assert await transactions(pool) == 3  # the first, the one that had failed, and the others
    await worker.process(*(a_chunk(events(1), partition, start=1) for partition in (2, 0, 3)))
    assert await transactions(pool) == 3  # that of 1, as before, the first, and the others
    assert await positions(pool) == [(2, 2)] * 4


@asynccontextmanager
async def locked(dsn: str, partition: int) -> AsyncIterator[None]:
    """Hold the position of a partition, as a worker does that is frozen in the middle of a chunk."""
    lock = "select from eye.sink_positions where topic = %s and partition = %s for update"
    async with await psycopg.AsyncConnection.connect(dsn) as holder:
        await holder.execute(lock, (TOPICS.validated, partition))
        yield


async def test_a_locked_position_is_waited_for_by_its_own_partition_alone(pool: Pool, dsn: str) -> None:
    worker = await SinkWorker(pool).open()

    async with locked(dsn, partition=1):
        waiting = asyncio.create_task(worker.process(a_chunk(events(2), 1)))
        others = [a_chunk(events(2), partition) for partition in (0, 2, 3)]
        async with asyncio.timeout(8):  # the lock is given up after 10 s
            assert await worker.process(*others) == [None] * 3
        assert not waiting.done()
        assert await positions(pool) == [(2, 2), (0, 0), (2, 2), (2, 2)]

    assert await waiting == [None]
    assert await positions(pool) == [(2, 2)] * 4


async def test_the_others_are_stored_when_a_partition_is_let_go(pool: Pool, dsn: str) -> None:
    worker = await SinkWorker(pool).open()

    async with locked(dsn, partition=0):
        let_go = asyncio.create_task(worker.work(TOPICS.validated, 0).process(a_chunk(events(2), 0)))
        others = asyncio.create_task(worker.process(*(a_chunk(events(2), partition) for partition in (1, 2, 3))))
        await asyncio.wait([let_go, others], timeout=0.2)
        let_go.cancel()

        assert await others == [None] * 3
        assert isinstance(*await asyncio.gather(let_go, return_exceptions=True), asyncio.CancelledError)

    assert await positions(pool) == [(0, 0), (2, 2), (2, 2), (2, 2)]
