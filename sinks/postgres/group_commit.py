"""Group commit: the small chunks of several partitions, stored in one transaction.

Under little load a chunk has a handful of rows, and what it costs is its transaction: six partitions of three topics
would come to more than a hundred a second.
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

from sinks.postgres.pool import Pool, lend
from sinks.tables.table import Table
from stream.runner.chunk import Chunk

log = logging.getLogger(__name__)

MAX_RECORDS = 1_000
"""So many records a chunk may have to be stored in a group: with more, its rows cost far more than its transaction."""

# whoever finds a position locked waits for it alone: the others of its group would wait with it
_WAIT_BRIEFLY = "select set_config('lock_timeout', '1s', true)"

_ADVANCE = """
update eye.sink_positions position
set next_offset = moved.next_offset, row_count = position.row_count + moved.row_count, updated_at = now()
from unnest(%s::text[], %s::text[], %s::int[], %s::bigint[], %s::bigint[], %s::bigint[])
    as moved (sink, topic, partition, start, next_offset, row_count)
where position.sink = moved.sink and position.topic = moved.topic and position.partition = moved.partition
    and position.next_offset = moved.start
"""

_Key = tuple[str, str, int]


@dataclass(eq=False, slots=True)
class _Part:
    """A chunk on its way into a table; `rows`: how many were new, once it is stored in a group."""

    table: Table[Any]
    chunk: Chunk
    rows: int | None = None

    @property
    def key(self) -> _Key:
        """The key of its position: sink, topic, partition."""
        return self.table.sink, self.chunk.topic, self.chunk.partition


class _NotPlain(Exception):
    """A group holds what only a chunk's own transaction can deal with."""


class GroupCommit:
    """Stores what came while the group before was stored, all of it in one transaction; a chunk that is alone, at once.

    Only what is plain: where a position has moved, a record can't be read, a row was there before, or anything
    fails, the group is rolled back, and each of its chunks is left to a transaction of its own.
    """

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._waiting: list[_Part] = []
        self._turn = asyncio.Lock()

    async def store(self, table: Table[Any], chunk: Chunk) -> int | None:
        """Store a chunk, and advance its sink's position from the chunk's start to its end.

        Returns how many rows are new, or None when nothing was stored and the chunk needs a transaction of its own.
        """
        part = _Part(table, chunk)
        self._waiting.append(part)
        try:
            async with self._turn:
                if part in self._waiting:  # nobody took it along
                    group, self._waiting = self._waiting, []
                    await self._store(group)
        finally:
            if part in self._waiting:
                self._waiting.remove(part)
        return part.rows

    async def _store(self, group: Sequence[_Part]) -> None:
        counts: Mapping[_Key, int] = {}
        try:
            async with lend(self._pool) as connection:
                counts = await _commit(connection, sorted(group, key=lambda part: part.key))
        except Exception as error:
            log.info("%d chunks are stored one by one, together they failed: %r", len(group), error)
        for part in group:
            part.rows = counts.get(part.key)


async def _commit(connection: AsyncConnection, group: Sequence[_Part]) -> Mapping[_Key, int]:
    """Store a sorted group; returns how many rows each position was given, or nothing when it isn't plain."""
    try:
        async with connection.transaction():
            return await _write(connection, group)
    except _NotPlain as reason:
        log.debug("%d chunks are stored one by one: %s", len(group), reason)
        return {}


async def _write(connection: AsyncConnection, group: Sequence[_Part]) -> Mapping[_Key, int]:
    """Write the rows of a sorted group and advance its positions. Raises _NotPlain."""
    tables = {table: list(parts) for table, parts in groupby(group, key=lambda part: part.table)}
    rows = {table: _rows(table, parts) for table, parts in tables.items()}
    counts: dict[_Key, int] = {}
    for table, parts in tables.items():
        of_partition = Counter(row.record.partition for row in rows[table])
        counts |= {part.key: of_partition[part.chunk.partition] for part in parts}
    await connection.execute(_WAIT_BRIEFLY)
    await _advance(connection, [(*p.key, p.chunk.start, p.chunk.next_offset, counts[p.key]) for p in group])
    for table in tables:
        if rows[table] and await table.writer.write(connection, rows[table]) != len(rows[table]):
            raise _NotPlain(f"some rows of {table.name} were there before")
    return counts


def _rows(table: Table[Any], parts: Sequence[_Part]) -> list[Any]:
    """Make the rows of several chunks for one table, no two with one key."""
    made = table.make_rows(chain.from_iterable(part.chunk.records for part in parts))
    if made.refused:
        raise _NotPlain(f"{len(made.refused)} records for {table.name} can't be read")
    return made.rows


async def _advance(connection: AsyncConnection, moves: Sequence[tuple[str, str, int, int, int, int]]) -> None:
    """Move positions by compare-and-set. Raises _NotPlain unless all of them were where they should be."""
    moved = await connection.execute(_ADVANCE, [list(column) for column in zip(*moves, strict=True)])
    if moved.rowcount != len(moves):
        raise _NotPlain("a position has moved")
