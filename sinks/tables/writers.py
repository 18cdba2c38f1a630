"""Rows into their tables. What is there already stays as it is, so that everything may be written twice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import LiteralString, Protocol, TypeVar

from psycopg import AsyncConnection, AsyncCursor

from sinks.postgres import arrays, copy
from sinks.tables.corrections import EVENT_COLUMNS, REJECTED_COLUMNS, lock_verdicts, replace_verdicts
from sinks.tables.rows import EventRow, RejectedRow, Row, SessionRow, event_key

R_contra = TypeVar("R_contra", bound=Row, contravariant=True)


class Writer(Protocol[R_contra]):
    """Writes rows, no two of which have one key.

    The caller has begun a transaction and ends it: without one the rows may be lost, and their keys kept.
    """

    async def write(self, connection: AsyncConnection, rows: Sequence[R_contra]) -> int:
        """Store the rows and return how many changed the table. Raises psycopg.Error."""


Copying = Callable[[], AbstractContextManager[object]]
"""Makes what is entered for each COPY, and left after it."""


class _CopyingWriter:
    """A writer that tells of each COPY."""

    def __init__(self, copying: Copying = nullcontext) -> None:
        self._copying = copying

    async def _copy(self, cursor: AsyncCursor, statement: LiteralString, rows: Iterable[bytes]) -> None:
        with self._copying():
            async with cursor.copy(statement) as transfer:
                await transfer.write(copy.copy_data(rows))

    async def _upsert(
        self,
        connection: AsyncConnection,
        make_new: LiteralString,
        copy_new: LiteralString,
        rows: Iterable[bytes],
        insert_new: LiteralString,
    ) -> int:
        """Take rows into a temporary table, and from there into their own; returns how many rows that changed."""
        async with connection.cursor() as cursor:
            await cursor.execute(make_new)
            await self._copy(cursor, copy_new, rows)
            await cursor.execute(insert_new)
            return cursor.rowcount


_CLAIM_EVENTS = """
insert into eye.event_keys (event_id, application, occurred_at)
select event_id, application, occurred_at
from unnest(%b, %b, %b, %b, %b) as new (event_id, application, occurred_at, source_partition, source_offset)
where not exists (
    select from eye.replaced_verdicts replaced
    where replaced.event_id = new.event_id and replaced.application = new.application
        and replaced.source_partition = new.source_partition and replaced.source_offset = new.source_offset
)
order by event_id, application
on conflict do nothing
returning event_id, application
"""

COPY_EVENTS = f"copy eye.events ({EVENT_COLUMNS}) from stdin (format binary)"


class EventWriter(_CopyingWriter, Writer[EventRow]):
    """Claims the keys of events, then stores the events whose key was free. Those published again replace others."""

    async def write(self, connection: AsyncConnection, rows: Sequence[EventRow]) -> int:
        """Store the rows and return how many are new or were replaced. Raises psycopg.Error."""
        first, replaced = await _replace(connection, rows)
        return await self._write(connection, first) + replaced

    async def _write(self, connection: AsyncConnection, rows: Sequence[EventRow]) -> int:
        async with connection.cursor(binary=True) as cursor:
            claimed = await self._claim(cursor, rows)
            if claimed:
                await self._copy(cursor, COPY_EVENTS, (row.copied for row in claimed))
        return len(claimed)

    async def _claim(self, cursor: AsyncCursor, rows: Sequence[EventRow]) -> Sequence[EventRow]:
        """Return the rows whose keys are ours now. Sorted, so that no two writers wait for each other."""
        keys = sorted((row.event_id, row.application, row.occurred_at, *row.source) for row in rows)
        event_ids, applications, times, partitions, offsets = zip(*keys, strict=True) if keys else ((),) * 5
        arrays.take_arrays(cursor)
        ids = arrays.uuids(event_ids), arrays.texts(applications)
        places = arrays.int4s(partitions), arrays.int8s(offsets)
        await cursor.execute(_CLAIM_EVENTS, (*ids, arrays.timestamps(times), *places))
        if cursor.rowcount == len(rows):
            return rows
        claimed = {(copy.uuid(event_id), copy.text(application)) async for event_id, application in cursor}
        return [row for row in rows if (row.event_id, row.application) in claimed]


_NEW_REJECTED = """
create temporary table if not exists new_rejected (like eye.rejected_events including defaults) on commit delete rows;
delete from pg_temp.new_rejected;
"""

_COPY_REJECTED = f"copy pg_temp.new_rejected ({REJECTED_COLUMNS}) from stdin (format binary)"

_INSERT_REJECTED = f"""
insert into eye.rejected_events ({REJECTED_COLUMNS}, redriven_by)
select {REJECTED_COLUMNS}, replaced.run
from pg_temp.new_rejected
left join eye.replaced_verdicts replaced using (event_id, application, source_partition, source_offset)
where replaced.run is null or replaced.redriven
order by event_id, application
on conflict do nothing
"""


class RejectedWriter(_CopyingWriter, Writer[RejectedRow]):
    """Stores rejected events whose key is free. Those published again replace others."""

    async def write(self, connection: AsyncConnection, rows: Sequence[RejectedRow]) -> int:
        """Store the rows and return how many are new or were replaced. Raises psycopg.Error."""
        first, replaced = await _replace(connection, rows)
        sorted_rows = (row.copied for row in sorted(first, key=event_key))
        return replaced + await self._upsert(connection, _NEW_REJECTED, _COPY_REJECTED, sorted_rows, _INSERT_REJECTED)


_SESSION_COLUMNS = """
session_id, applications, revision, status, started_at, ended_at, event_count, rejected_count, counts_by_type,
first_event_id, last_event_id, updated_at
"""

_NEW_SESSIONS = """
create temporary table if not exists new_sessions (like eye.sessions including defaults) on commit delete rows;
delete from pg_temp.new_sessions;
"""

_COPY_SESSIONS = f"copy pg_temp.new_sessions ({_SESSION_COLUMNS}) from stdin (format binary)"

_UPSERT_SESSIONS = f"""
insert into eye.sessions ({_SESSION_COLUMNS})
select {_SESSION_COLUMNS} from pg_temp.new_sessions
on conflict (session_id) do update set
    applications = excluded.applications,
    revision = excluded.revision,
    status = excluded.status,
    started_at = excluded.started_at,
    ended_at = excluded.ended_at,
    event_count = excluded.event_count,
    rejected_count = excluded.rejected_count,
    counts_by_type = excluded.counts_by_type,
    first_event_id = excluded.first_event_id,
    last_event_id = excluded.last_event_id,
    updated_at = excluded.updated_at
where excluded.revision > sessions.revision
"""


class SessionWriter(_CopyingWriter, Writer[SessionRow]):
    """Stores summaries of sessions that are unknown, or known by an older revision."""

    async def write(self, connection: AsyncConnection, rows: Sequence[SessionRow]) -> int:
        """Store the rows and return how many were newer. Raises psycopg.Error."""
        sorted_rows = (row.copied for row in sorted(rows, key=lambda row: row.session_id))
        return await self._upsert(connection, _NEW_SESSIONS, _COPY_SESSIONS, sorted_rows, _UPSERT_SESSIONS)


V = TypeVar("V", EventRow, RejectedRow)


async def _replace(connection: AsyncConnection, rows: Sequence[V]) -> tuple[Sequence[V], int]:
    """Deal with the verdicts that were published again; returns the others, and how many were replaced."""
    again = [row for row in rows if row.judged is not None]
    if rows:
        await lock_verdicts(connection, *sorted({row.record.partition for row in rows}), alone=bool(again))
    if not again:
        return rows, 0
    return [row for row in rows if row.judged is None], await replace_verdicts(connection, again)
