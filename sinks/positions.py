"""The sinks' positions in eye.sink_positions: the next offset of each sink and partition, and its number of rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from aiokafka import TopicPartition
from psycopg import AsyncConnection

from stream.runner.chunk import Chunk

_READ = "select next_offset from eye.sink_positions where sink = %s and topic = %s and partition = %s"

_READ_ALL = """
select topic, partition, next_offset, sink from eye.sink_positions where topic = any(%s) and sink = any(%s)
"""

_BEGIN = """
insert into eye.sink_positions (next_offset, sink, topic, partition) values (%s, %s, %s, %s) on conflict do nothing
"""

_BEGIN_AFTER_RUN = """
insert into eye.sink_positions (sink, topic, partition, next_offset)
select %s, topic, partition, end_offset from eye.replay_partitions where run = %s and topic = %s
on conflict do nothing
"""

_ADVANCE = """
update eye.sink_positions position
set next_offset = moved.next_offset, row_count = position.row_count + moved.row_count, updated_at = now()
from unnest(%s::text[], %s::text[], %s::int[], %s::bigint[], %s::bigint[], %s::bigint[])
    as moved (sink, topic, partition, start, next_offset, row_count)
where position.sink = moved.sink and position.topic = moved.topic and position.partition = moved.partition
    and position.next_offset = moved.start
"""

_RESET = """
update eye.sink_positions set next_offset = %s, updated_at = now()
where sink = %s and topic = %s and partition = %s and next_offset = %s
"""

_DELETE = "delete from eye.sink_positions where topic = any(%s)"

_CORRECT = "update eye.sink_positions set row_count = row_count + %s where sink = %s and topic = %s and partition = %s"


class Position(Protocol):
    """The stored position of a partition's reader; it moves in the transaction that stores the rows."""

    async def advance(self, connection: AsyncConnection, chunk: Chunk, rows: int) -> None:
        """Move from the chunk's start to its end, and add `rows` to the number of rows.

        Raises when the position is not at the chunk's start; then nothing may be stored.
        """

    async def correct(self, connection: AsyncConnection, rows: int) -> None:
        """Add to the number of rows that `advance` was given."""


class Key(NamedTuple):
    """The key of a position."""

    sink: str
    topic: str
    partition: int


class Move(NamedTuple):
    """A step of a position from `start` to `next_offset`, which stores `rows`."""

    sink: str
    topic: str
    partition: int
    start: int
    next_offset: int
    rows: int


async def read_position(connection: AsyncConnection, key: Key) -> int | None:
    """Return a stored position, None if there is none."""
    row = await (await connection.execute(_READ, key)).fetchone()
    return None if row is None else int(row[0])


async def read_positions(connection: AsyncConnection, sinks: Mapping[str, str]) -> dict[TopicPartition, int]:
    """Return the stored positions of sinks, given by topic."""
    rows = await (await connection.execute(_READ_ALL, (list(sinks), list(sinks.values())))).fetchall()
    return {TopicPartition(topic, partition): offset for topic, partition, offset, sink in rows if sinks[topic] == sink}


async def begin_position(connection: AsyncConnection, key: Key, offset: int) -> None:
    """Store a first position; one that is there stays."""
    await connection.execute(_BEGIN, (offset, *key))


async def begin_positions_after_run(connection: AsyncConnection, sink: str, topic: str, run: str) -> None:
    """Store first positions at the end of what a run has replayed; those that are there stay."""
    await connection.execute(_BEGIN_AFTER_RUN, (sink, run, topic))


async def advance_positions(connection: AsyncConnection, moves: Sequence[Move]) -> int:
    """Move positions by compare-and-set; return how many were at their start, and so have moved."""
    return (await connection.execute(_ADVANCE, [list(column) for column in zip(*moves, strict=True)])).rowcount


async def reset_position(connection: AsyncConnection, key: Key, position: int, offset: int) -> None:
    """Set a position to another offset, unless it has moved meanwhile."""
    await connection.execute(_RESET, (offset, *key, position))


async def correct_row_count(connection: AsyncConnection, key: Key, rows: int) -> None:
    """Add to a position's number of rows."""
    await connection.execute(_CORRECT, (rows, *key))


async def delete_positions(connection: AsyncConnection, topics: Sequence[str]) -> int:
    """Delete the positions of all sinks in these topics; return how many there were."""
    return (await connection.execute(_DELETE, (list(topics),))).rowcount
