"""The sinks' work on one partition of a topic: its records become rows of a table, in step with its position."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from psycopg import AsyncConnection, errors

from schemas.record import place
from sinks.chunk_store import store_chunk
from sinks.group_commit import MAX_RECORDS, GroupCommit
from sinks.metrics import SinkMetrics
from sinks.positions import (
    Key,
    Move,
    Position,
    advance_positions,
    begin_position,
    correct_row_count,
    read_position,
    reset_position,
)
from sinks.postgres.pool import Pool, lend
from sinks.stale_owner import end_stale_owner
from sinks.tables.row import Row
from sinks.tables.table import Table
from stream.runner.chunk import Chunk
from stream.runner.work import PartitionWork, PositionMoved

log = logging.getLogger(__name__)

R = TypeVar("R", bound=Row)


class TablePartition(PartitionWork, Position, Generic[R]):
    """Store the records of one partition in a table, each once.

    The position is kept in eye.sink_positions and moves in the transaction of the rows, by compare-and-set: another
    owner of the partition waits for that transaction and then finds the position moved. A failure of Postgres leaves
    `process` as an exception, with nothing stored; `open` reads the outcome afterwards, even when the connection broke
    during the commit. A session that holds the lock on the position and waits for its client has lost the partition,
    and is ended.
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
        """Make the work; `bounds` returns the partition's earliest offset in Kafka and its end.

        When more than `max_refused_share` of a chunk is refused, `process` raises TooManyRefused.
        """
        self._pool = pool
        self._table = table
        self._key = Key(table.sink, topic, partition)
        self._metrics = metrics
        self._bounds = bounds
        self._max_refused_share = max_refused_share
        self._group = group
        self._in_trouble = False

    async def open(self) -> int:
        """Return the stored position; without one, store the partition's earliest offset.

        A position beyond the end belongs to a topic that was deleted: the new one is read from its beginning, which
        stores no row twice.
        """
        earliest, end = await self._bounds()
        position = await self._read_position(earliest)
        where = place(*self._key[1:], position)
        if position > end:
            log.error(
                "sink %s: %s:%d ends at %d, before the position %d: read anew", *self._key, end, position, extra=where
            )
            async with lend(self._pool) as connection:
                await reset_position(connection, self._key, position, earliest)
            return await self._read_position(earliest)
        if position < earliest:
            log.error(
                "sink %s: %s:%d: offsets %d to %d expired unread", *self._key, position, earliest - 1, extra=where
            )
        return position

    async def process(self, chunk: Chunk) -> None:
        """Store a chunk and advance the position to its end. A row that is refused for good is set aside."""
        with self._metrics.chunk(self._table.name):
            done = await self._store_in_group(chunk)
            if done is None:
                done = await self._store_alone(chunk)
        stored, refused = done
        self._metrics.count(self._table.name, records=len(chunk.records), rows=stored, refused=refused)

    async def _store_in_group(self, chunk: Chunk) -> tuple[int, int] | None:
        """Store a small chunk together with others, unless the last one failed even alone.

        Returns the numbers of new rows and refused records; None when nothing was stored.
        """
        if self._in_trouble or len(chunk.records) > MAX_RECORDS:
            return None
        rows = await self._group.submit(self._table, chunk)
        return None if rows is None else (rows, 0)

    async def _store_alone(self, chunk: Chunk) -> tuple[int, int]:
        """Store a chunk in a transaction of its own; return the numbers of new rows and refused records."""
        self._in_trouble = True
        try:
            done = await store_chunk(self._pool, self._table, chunk, self, self._max_refused_share)
        except errors.LockNotAvailable:
            if await end_stale_owner(self._pool, *self._key):
                self._metrics.count_stale_owner(self._table.name)
            raise
        self._in_trouble = False
        return done

    async def advance(self, connection: AsyncConnection, chunk: Chunk, rows: int) -> None:
        """Move the sink's position by compare-and-set. Raises PositionMoved."""
        move = Move(*self._key, chunk.start, chunk.next_offset, rows)
        if await advance_positions(connection, [move]) != 1:
            raise PositionMoved(f"sink {self._table.sink} is no longer at offset {chunk.start}")

    async def correct(self, connection: AsyncConnection, rows: int) -> None:
        """Add to the sink's number of stored rows."""
        await correct_row_count(connection, self._key, rows)

    async def close(self) -> None:
        """Do nothing: nothing is held between chunks."""

    async def _read_position(self, earliest: int) -> int:
        """Return the stored position; write it only if there is none, since a write waits for the row's lock."""
        async with lend(self._pool) as connection:
            while (position := await read_position(connection, self._key)) is None:
                await begin_position(connection, self._key, earliest)
        return position
