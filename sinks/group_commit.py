"""Group commit: store the small chunks of several partitions in one transaction.

Under little load a chunk has a handful of rows, and its cost is its transaction: six partitions of three topics would
make more than a hundred a second.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from typing import Any

from psycopg import AsyncConnection

from sinks.positions import Key, Move, advance_positions
from sinks.postgres.pool import Pool, lend
from sinks.tables.table import Table
from stream.runner.chunk import Chunk

log = logging.getLogger(__name__)

MAX_RECORDS = 1_000
"""Most records of a chunk that is stored in a group: with more, its rows cost far more than its transaction."""

# a chunk whose position is locked waits in a transaction of its own: here its whole group would wait
_WAIT_BRIEFLY = "select set_config('lock_timeout', '1s', true)"


@dataclass(eq=False, slots=True)
class _Part:
    """A chunk to be stored in a table; `rows`: the number of new rows, once the group is stored."""

    table: Table[Any]
    chunk: Chunk
    rows: int | None = None

    @property
    def key(self) -> Key:
        """The key of its position: sink, topic, partition."""
        return Key(self.table.sink, self.chunk.topic, self.chunk.partition)


class _NeedsOwnTransaction(Exception):
    """A group holds a chunk that needs a transaction of its own."""


class GroupCommit:
    """Store all chunks that came while the last group was stored in one transaction; a single chunk at once.

    When a position has moved, a record cannot be read, a row was stored before, or anything fails, the group is rolled
    back, and each of its chunks needs a transaction of its own.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._waiting: list[_Part] = []
        self._turn = asyncio.Lock()

    async def submit(self, table: Table[Any], chunk: Chunk) -> int | None:
        """Store a chunk, and advance its sink's position from the chunk's start to its end.

        Returns how many rows are new, or None when nothing was stored and the chunk needs a transaction of its own.
        """
        part = _Part(table, chunk)
        self._waiting.append(part)
        try:
            async with self._turn:
                if part in self._waiting:  # not taken by another group
                    group, self._waiting = self._waiting, []
                    await self._store_group(group)
        finally:
            if part in self._waiting:
                self._waiting.remove(part)
        return part.rows

    async def _store_group(self, group: Sequence[_Part]) -> None:
        counts: Mapping[Key, int] = {}
        try:
            async with lend(self._pool) as connection:
                counts = await _commit(connection, sorted(group, key=lambda part: part.key))
        except Exception as error:
            log.info("%d chunks are stored one by one, together they failed: %r", len(group), error)
        for part in group:
            part.rows = counts.get(part.key)


async def _commit(connection: AsyncConnection, group: Sequence[_Part]) -> Mapping[Key, int]:
    """Store a sorted group; return the number of rows by position, or nothing if the group was rolled back."""
    try:
        async with connection.transaction():
            return await _write(connection, group)
    except _NeedsOwnTransaction as reason:
        log.debug("%d chunks are stored one by one: %s", len(group), reason)
        return {}


async def _write(connection: AsyncConnection, group: Sequence[_Part]) -> Mapping[Key, int]:
    """Write the rows of a sorted group and advance its positions. Raises _NeedsOwnTransaction."""
    tables = {table: list(parts) for table, parts in groupby(group, key=lambda part: part.table)}
    rows = {table: _rows(table, parts) for table, parts in tables.items()}
    counts: dict[Key, int] = {}
    for table, parts in tables.items():
        of_partition = Counter(row.record.partition for row in rows[table])
        counts |= {part.key: of_partition[part.chunk.partition] for part in parts}
    await connection.execute(_WAIT_BRIEFLY)
    moves = [Move(*p.key, p.chunk.start, p.chunk.next_offset, counts[p.key]) for p in group]
    if await advance_positions(connection, moves) != len(moves):
        raise _NeedsOwnTransaction("a position has moved")
    for table in tables:
        if rows[table] and await table.writer.write(connection, rows[table]) != len(rows[table]):
            raise _NeedsOwnTransaction(f"some rows of {table.name} were there before")
    return counts


def _rows(table: Table[Any], parts: Sequence[_Part]) -> list[Any]:
    """Make the rows of several chunks for one table, no two with one key."""
    made = table.make_rows(chain.from_iterable(part.chunk.records for part in parts))
    if made.refused:
        raise _NeedsOwnTransaction(f"{len(made.refused)} records for {table.name} can't be read")
    return made.rows
