"""The work on one partition of a topic: its records into a table, in step with its position."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Generic, Protocol, TypeVar

import psycopg
from psycopg import AsyncConnection, errors

from schemas.record import place
from sinks.metrics import SinkMetrics
from sinks.postgres.group_commit import MAX_RECORDS, GroupCommit
from sinks.postgres.pool import Pool, lend
from sinks.postgres.stale_owner import end_frozen_holder
from sinks.tables.refusals import Refusals, is_refusal, write_what_can_be
from sinks.tables.rows import Row, Rows
from sinks.tables.table import Table
from stream.runner.chunk import Chunk
from stream.runner.work import PartitionWork, PositionMoved

log = logging.getLogger(__name__)

R = TypeVar("R", bound=Row)

_READ = "select next_offset from eye.sink_positions where sink = %s and topic = %s and partition = %s"

_BEGIN = """
insert into eye.sink_positions (next_offset, sink, topic, partition) values (%s, %s, %s, %s) on conflict do nothing
"""

_ADVANCE = """
update eye.sink_positions set next_offset = %s, row_count = row_count + %s, updated_at = now()
where sink = %s and topic = %s and partition = %s and next_offset = %s
"""

_BACK = """
update eye.sink_positions set next_offset = %s, updated_at = now()
where sink = %s and topic = %s and partition = %s and next_offset = %s
"""

_CORRECT = "update eye.sink_positions set row_count = row_count + %s where sink = %s and topic = %s and partition = %s"


class Position(Protocol):
    """Where the reading of a partition stands, kept in Postgres; it moves in the transaction of the rows."""

    async def advance(self, connection: AsyncConnection, chunk: Chunk, rows: int) -> None:
        """Move from the chunk's start to its end, on account of so many rows.

        Raises when it isn't at the chunk's start; then nothing may be stored.
        """

    async def correct(self, connection: AsyncConnection, rows: int) -> None:
        """Add to the number of rows that `advance` was told."""


async def store(
    pool: Pool, table: Table[Any], chunk: Chunk, position: Position, max_refused_share: float
) -> tuple[int, int]:
    """Store a chunk and advance the position to its end, in one transaction. A row refused for good is set aside.

    Returns how many rows are new, and how many records were refused. Raises TooManyRefused, and psycopg.Error for
    whatever is not a row's fault; then nothing is stored.
    """
    rows = table.make_rows(chunk.records)
    refusals = Refusals(chunk, max_refused_share)
    refusals.add(*rows.refused)
    try:
        stored = await _store(pool, table, chunk, rows, position, table.writer.write)
    except psycopg.Error as error:
        if not is_refusal(error):
            raise
        write = partial(_write_what_can_be, table, refusals)
        stored = await _store(pool, table, chunk, rows, position, write)
    return stored, len(refusals.refused)


_Write = Callable[[AsyncConnection, list[Any]], Awaitable[int]]


async def _store(
    pool: Pool, table: Table[Any], chunk: Chunk, rows: Rows[Any], position: Position, write: _Write
) -> int:
    """Return how many rows are new."""
    async with lend(pool) as connection, connection.transaction():
        expected = len(rows.rows)
        await position.advance(connection, chunk, expected)
        if rows.refused:
            await table.set_aside(connection, rows.refused)
        stored = await write(connection, rows.rows)
        if stored != expected:
            await position.correct(connection, stored - expected)
    return stored


async def _write_what_can_be(table: Table[R], refusals: Refusals, connection: AsyncConnection, rows: list[R]) -> int:
    unreadable = len(refusals.refused)
    stored = await write_what_can_be(connection, table.writer, rows, refusals)
    await table.set_aside(connection, refusals.refused[unreadable:])
    return stored


class TablePartition(PartitionWork, Position, Generic[R]):
    """Stores the records of one partition in a table, each once.

    The position stands in eye.sink_positions and moves in the transaction of the rows, by compare-and-set:
    whoever else has the partition waits for that transaction, and then finds the position moved. Whatever
    Postgres is in no state to do leaves `process` as an exception, with nothing stored; `open` tells
    afterwards, even when the connection broke in the middle of the commit. A session that has the position
    locked and waits for its client has lost the partition, and is ended.
    """

    def __init__(
        self,
        pool: Pool,
        metrics: SinkMetrics,
        table: Table[R],
        topic: str,
        partition: int,
        bounds: Callable[[], Awaitable[tuple[int, int]]],
        max_refused_share: float,
        group: GroupCommit,
    ) -> None:
        """`bounds` gives the partition's earliest offset in Kafka, and its end.

        When more than `max_refused_share` of a chunk is refused, `process` raises TooManyRefused.
        """
        self._pool = pool
        self._table = table
        self._key = (table.sink, topic, partition)
        self._metrics = metrics
        self._bounds = bounds
        self._max_refused_share = max_refused_share
        self._group = group
        self._in_trouble = False

    async def open(self) -> int:
        """Return the stored position; where there is none yet, it begins at the partition's earliest offset.

        A position beyond the end belongs to a topic that is gone: the new one is read from its beginning,
        which adds no row twice.
        """
        earliest, end = await self._bounds()
        position = await self._read_position(earliest)
        if position > end:
            where = place(*self._key[1:], position)
            log.error(
                "sink %s: %s:%d ends at %d, before the position %d: read anew", *self._key, end, position, extra=where
            )
            async with lend(self._pool) as connection:
                await connection.execute(_BACK, (earliest, *self._key, position))
            return await self._read_position(earliest)
        if position < earliest:
            where = place(*self._key[1:], position)
            log.error(
                "sink %s: %s:%d: offsets %d to %d expired unread", *self._key, position, earliest - 1, extra=where
            )
        return position

    async def process(self, chunk: Chunk) -> None:
        """Store a chunk and advance the position to its end. A row that is refused for good is set aside."""
        with self._metrics.chunk(self._table.name):
            stored, refused = await self._store_in_group(chunk) or await self._store_alone(chunk)
        self._metrics.count(self._table.name, records=len(chunk.records), rows=stored, refused=refused)

    async def _store_in_group(self, chunk: Chunk) -> tuple[int, int] | None:
        """Store a small chunk with others, unless the last one failed even by itself: that trouble is ours alone."""
        if self._in_trouble or len(chunk.records) > MAX_RECORDS:
            return None
        rows = await self._group.store(self._table, chunk)
        return None if rows is None else (rows, 0)

    async def _store_alone(self, chunk: Chunk) -> tuple[int, int]:
        self._in_trouble = True
        try:
            done = await store(self._pool, self._table, chunk, self, self._max_refused_share)
        except errors.LockNotAvailable:
            if await end_frozen_holder(self._pool, *self._key):
                self._metrics.count_frozen(self._table.name)
            raise
        self._in_trouble = False
        return done

    async def advance(self, connection: AsyncConnection, chunk: Chunk, rows: int) -> None:
        """Move the sink's position by compare-and-set. Raises PositionMoved."""
        moved = await connection.execute(_ADVANCE, (chunk.next_offset, rows, *self._key, chunk.start))
        if moved.rowcount != 1:
            raise PositionMoved(f"sink {self._table.sink} is no longer at offset {chunk.start}")

    async def correct(self, connection: AsyncConnection, rows: int) -> None:
        """Correct how many rows the sink has stored."""
        await connection.execute(_CORRECT, (rows, *self._key))

    async def close(self) -> None:
        """Nothing is held between chunks."""

    async def _read_position(self, earliest: int) -> int:
        """Return the stored position; written only where there is none, for a write waits for whoever moves it."""
        async with lend(self._pool) as connection:
            while (stored := await (await connection.execute(_READ, self._key)).fetchone()) is None:
                await connection.execute(_BEGIN, (earliest, *self._key))
        return int(stored[0])
