"""The interface of the tables' writers. Rows that are stored already stay, so any row may be written twice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import LiteralString, Protocol, TypeVar

from psycopg import AsyncConnection, AsyncCursor

from sinks.postgres import copy
from sinks.tables.row import Row

R_contra = TypeVar("R_contra", bound=Row, contravariant=True)


class Writer(Protocol[R_contra]):
    """Writes rows, no two of which have the same key.

    The caller begins a transaction before and commits it afterwards: keys and rows are stored only together.
    """

    async def write(self, connection: AsyncConnection, rows: Sequence[R_contra]) -> int:
        """Store the rows; return how many changed the table. Raises psycopg.Error."""


Timed = Callable[[], AbstractContextManager[object]]
"""Makes a context manager that is entered for each COPY."""


class CopyingWriter:
    """Base of writers that store rows by COPY."""

    def __init__(self, timed: Timed = nullcontext) -> None:
        self._timed = timed

    async def _copy(self, cursor: AsyncCursor, statement: LiteralString, rows: Iterable[bytes]) -> None:
        with self._timed():
            async with cursor.copy(statement) as transfer:
                await transfer.write(copy.copy_data(rows))

    async def _copy_and_insert(
        self,
        connection: AsyncConnection,
        create: LiteralString,
        copy_rows: LiteralString,
        rows: Iterable[bytes],
        insert: LiteralString,
    ) -> int:
        """Copy rows into a temporary table and insert them from there; return how many rows were changed."""
        async with connection.cursor() as cursor:
            await cursor.execute(create)
            await self._copy(cursor, copy_rows, rows)
            await cursor.execute(insert)
            return cursor.rowcount
