"""The work on one partition of a topic: its records into a table, in step with its position."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import psycopg
from psycopg import AsyncConnection

from schemas.record import RawRecord
from sinks.pool import Pool, lend
from sinks.refused import is_refusal, write_what_can_be
from sinks.rows import Refused, Row, Rows
from sinks.writer import Writer
from stream.transport.chunk import Chunk
from stream.transport.work import PartitionWork, PositionMoved

R = TypeVar("R", bound=Row)

_READ = "select next_offset from eye.sink_positions where sink = %s and topic = %s and partition = %s"

_BEGIN = """
insert into eye.sink_positions (next_offset, sink, topic, partition) values (%s, %s, %s, %s) on conflict do nothing
"""

_ADVANCE = """
update eye.sink_positions set next_offset = %s, row_count = row_count + %s, updated_at = now()
where sink = %s and topic = %s and partition = %s and next_offset = %s
"""

_CORRECT = "update eye.sink_positions set row_count = row_count + %s where sink = %s and topic = %s and partition = %s"


@dataclass(frozen=True, slots=True)
class Table(Generic[R]):
    """A sink: what it is called, how records become its rows, and where those go."""

    sink: str
    make_rows: Callable[[Iterable[RawRecord]], Rows[R]]
    writer: Writer[R]
    set_aside: Callable[[AsyncConnection, Sequence[Refused]], Awaitable[None]]


class TablePartition(PartitionWork, Generic[R]):
    """Stores the records of one partition in a table, each once.

    The position stands in eye.sink_positions and moves in the transaction of the rows, by compare-and-set:
    whoever else has the partition waits for that transaction, and then finds the position moved. Whatever
    Postgres is in no state to do leaves `process` as an exception, with nothing stored; `open` tells
    afterwards, even when the connection broke in the middle of the commit.
    """

    def __init__(
        self, pool: Pool, table: Table[R], topic: str, partition: int, earliest: Callable[[], Awaitable[int]]
    ) -> None:
        self._pool = pool
        self._table = table
        self._key = (table.sink, topic, partition)
        self._earliest = earliest

    async def open(self) -> int:
        """Return the stored position; where there is none yet, it begins at the partition's earliest offset."""
        position = await self._read_position()
        if position is None:
            earliest = await self._earliest()
            async with lend(self._pool) as connection:
                await connection.execute(_BEGIN, (earliest, *self._key))
            position = await self._read_position()
            assert position is not None
        return position

    async def process(self, chunk: Chunk) -> None:
        """Store a chunk and advance the position to its end. A row that is refused for good is set aside."""
        rows = self._table.make_rows(chunk.records)
        try:
            await self._store(chunk, rows, self._write)
        except psycopg.Error as error:
            if not is_refusal(error):
                raise
            await self._store(chunk, rows, self._write_what_can_be)

    async def close(self) -> None:
        """Nothing is held between chunks."""

    async def _read_position(self) -> int | None:
        async with lend(self._pool) as connection:
            stored = await (await connection.execute(_READ, self._key)).fetchone()
        return stored[0] if stored else None

    async def _store(
        self, chunk: Chunk, rows: Rows[R], write: Callable[[AsyncConnection, list[R]], Awaitable[int]]
    ) -> None:
        async with lend(self._pool) as connection, connection.transaction():
            expected = len(rows.rows)
            advanced = await connection.execute(_ADVANCE, (chunk.next_offset, expected, *self._key, chunk.start))
            if advanced.rowcount != 1:
                raise PositionMoved(f"sink {self._table.sink} is no longer at offset {chunk.start}")
            if rows.refused:
                await self._table.set_aside(connection, rows.refused)
            count = await write(connection, rows.rows)
            if count != expected:
                await connection.execute(_CORRECT, (count - expected, *self._key))

    async def _write(self, connection: AsyncConnection, rows: list[R]) -> int:
        return await self._table.writer.write(connection, rows)

    async def _write_what_can_be(self, connection: AsyncConnection, rows: list[R]) -> int:
        count, refused = await write_what_can_be(connection, self._table.writer, rows)
        await self._table.set_aside(connection, refused)
        return count
