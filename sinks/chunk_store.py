"""Store a chunk's rows and advance its position in one transaction."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

import psycopg
from psycopg import AsyncConnection

from sinks.positions import Position
from sinks.postgres.pool import Pool, lend
from sinks.tables.refusals import Refusals, is_refusal, write_storable
from sinks.tables.row import Row, Rows
from sinks.tables.table import Table
from stream.runner.chunk import Chunk

R = TypeVar("R", bound=Row)

_Write = Callable[[AsyncConnection, list[Any]], Awaitable[int]]


async def store_chunk(
    pool: Pool, table: Table[Any], chunk: Chunk, position: Position, max_refused_share: float
) -> tuple[int, int]:
    """Store a chunk and advance the position to its end, in one transaction. A row refused for good is set aside.

    Returns how many rows are new, and how many records were refused. Raises TooManyRefused, and psycopg.Error if no
    row is at fault; then nothing is stored.
    """
    rows = table.make_rows(chunk.records)
    refusals = Refusals(chunk, max_refused_share)
    refusals.add(*rows.refused)
    try:
        stored = await _commit(pool, table, chunk, rows, position, table.writer.write)
    except psycopg.Error as error:
        if not is_refusal(error):
            raise
        stored = await _commit(pool, table, chunk, rows, position, partial(_write_storable, table, refusals))
    return stored, len(refusals.refused)


async def _commit(
    pool: Pool, table: Table[Any], chunk: Chunk, rows: Rows[Any], position: Position, write: _Write
) -> int:
    """Write the rows and advance the position; return how many rows are new."""
    async with lend(pool) as connection, connection.transaction():
        expected = len(rows.rows)
        await position.advance(connection, chunk, expected)
        if rows.refused:
            await table.set_aside(connection, rows.refused)
        stored = await write(connection, rows.rows)
        if stored != expected:
            await position.correct(connection, stored - expected)
    return stored


async def _write_storable(table: Table[R], refusals: Refusals, connection: AsyncConnection, rows: list[R]) -> int:
    unreadable = len(refusals.refused)
    stored = await write_storable(connection, table.writer, rows, refusals)
    await table.set_aside(connection, refusals.refused[unreadable:])
    return stored
