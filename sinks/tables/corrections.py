"""Correct stored verdicts: one that was published again replaces the row of the same raw record, in both tables.

Of several verdicts the latest run's counts, in whatever order they arrive, and writing one twice changes nothing. So
reading the topics again from their beginning leads to the same rows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from typing import Generic, LiteralString, TypeVar

from psycopg import AsyncConnection

from sinks.postgres.copy import copy_data
from sinks.tables.events import EVENT_COLUMNS, EventRow, EventWriter
from sinks.tables.rejected_events import REJECTED_COLUMNS, RejectedRow, RejectedWriter
from sinks.tables.row import Republication
from sinks.tables.writer import Timed, Writer

V = TypeVar("V", EventRow, RejectedRow)

_LOCK_EXCLUSIVE = "select pg_advisory_xact_lock(hashtext('eye.verdicts'), number) from unnest(%s::int[]) as number"

_LOCK_SHARED = "select pg_advisory_xact_lock_shared(hashtext('eye.verdicts'), number) from unnest(%s::int[]) as number"

_CREATE_AGAIN = """
create temporary table if not exists again_events (like eye.events including defaults) on commit delete rows;
create temporary table if not exists again_rejected (like eye.rejected_events including defaults)
on commit delete rows;
create temporary table if not exists again_won (like eye.replaced_verdicts) on commit delete rows;
truncate pg_temp.again_events, pg_temp.again_rejected, pg_temp.again_won;
"""

_COPY_EVENTS = f"copy pg_temp.again_events ({EVENT_COLUMNS}) from stdin (format binary)"

_COPY_REJECTED = f"copy pg_temp.again_rejected ({REJECTED_COLUMNS}) from stdin (format binary)"

_ANALYZE = "analyze pg_temp.again_events, pg_temp.again_rejected"

_RECORD_RUN = """
with won as (
    insert into eye.replaced_verdicts (event_id, application, source_partition, source_offset, run, redriven)
    select event_id, application, source_partition, source_offset, %(run)s, %(redriven)s
    from (
        select event_id, application, source_partition, source_offset from pg_temp.again_events
        union select event_id, application, source_partition, source_offset from pg_temp.again_rejected
    ) republished
    order by event_id, application, source_partition, source_offset
    on conflict (event_id, application, source_partition, source_offset)
    do update set run = excluded.run, redriven = excluded.redriven where replaced_verdicts.run < excluded.run
    returning event_id, application, source_partition, source_offset, run, redriven
)
insert into pg_temp.again_won select * from won
"""

_DELETE_EVENTS = """
with gone as (
    delete from eye.events event using pg_temp.again_won won join eye.event_keys key using (event_id, application)
    where event.occurred_at = key.occurred_at
        and event.event_id = won.event_id and event.application = won.application
        and event.source_partition = won.source_partition and event.source_offset = won.source_offset
    returning event.event_id, event.application
)
delete from eye.event_keys key using gone
where key.event_id = gone.event_id and key.application = gone.application
"""

_DELETE_REJECTED = """
delete from eye.rejected_events rejected using pg_temp.again_won won
where rejected.event_id = won.event_id and rejected.application = won.application
    and rejected.source_partition = won.source_partition and rejected.source_offset = won.source_offset
"""

_MARK_REJECTED = """
update eye.rejected_events rejected set redriven_by = won.run from pg_temp.again_won won
where rejected.event_id = won.event_id and rejected.application = won.application
    and rejected.source_partition = won.source_partition and rejected.source_offset = won.source_offset
"""

_INSERT_EVENTS = f"""
with first as (
    select distinct on (event_id, application) {EVENT_COLUMNS}
    from pg_temp.again_events join pg_temp.again_won
        using (event_id, application, source_partition, source_offset)
    order by event_id, application, source_partition, source_offset
),
claimed as (
    insert into eye.event_keys (event_id, application, occurred_at)
    select event_id, application, occurred_at from first order by event_id, application
    on conflict do nothing
    returning event_id, application
)
insert into eye.events ({EVENT_COLUMNS})
select {EVENT_COLUMNS} from first join claimed using (event_id, application)
"""

_INSERT_REJECTED = f"""
insert into eye.rejected_events ({REJECTED_COLUMNS})
select {REJECTED_COLUMNS} from pg_temp.again_rejected join pg_temp.again_won
    using (event_id, application, source_partition, source_offset)
order by event_id, application, source_partition, source_offset
on conflict do nothing
"""


class CorrectingWriter(Writer[V], Generic[V]):
    """Store first verdicts by a table's own writer; let verdicts that were published again replace stored ones."""

    def __init__(self, writer: Writer[V]) -> None:
        self._writer: Writer[V] = writer

    async def write(self, connection: AsyncConnection, rows: Sequence[V]) -> int:
        """Store the rows; return how many are new or replaced others. Raises psycopg.Error."""
        first = [row for row in rows if row.republished_by is None]
        again = [row for row in rows if row.republished_by is not None]
        if rows:
            await lock_verdicts(connection, *sorted({row.record.partition for row in rows}), exclusive=bool(again))
        replaced = await replace_verdicts(connection, again) if again else 0
        return await self._writer.write(connection, first) + replaced


def event_writer(timed: Timed = nullcontext) -> Writer[EventRow]:
    """Return the writer of eye.events; `timed` is entered for each COPY."""
    return CorrectingWriter[EventRow](EventWriter(timed))


def rejected_writer(timed: Timed = nullcontext) -> Writer[RejectedRow]:
    """Return the writer of eye.rejected_events; `timed` is entered for each COPY."""
    return CorrectingWriter[RejectedRow](RejectedWriter(timed))


async def lock_verdicts(connection: AsyncConnection, *partitions: int, exclusive: bool) -> None:
    """Lock the verdicts of partitions until the transaction ends: shared to store new ones, exclusive to replace."""
    await connection.execute(_LOCK_EXCLUSIVE if exclusive else _LOCK_SHARED, (list(partitions),))


async def load_again(connection: AsyncConnection, rows: Iterable[EventRow | RejectedRow]) -> None:
    """Load rows into pg_temp.again_events and pg_temp.again_rejected, which are emptied before."""
    rows = list(rows)
    await connection.execute(_CREATE_AGAIN)
    await _copy(connection, _COPY_EVENTS, [row.copied for row in rows if isinstance(row, EventRow)])
    await _copy(connection, _COPY_REJECTED, [row.copied for row in rows if isinstance(row, RejectedRow)])
    await connection.execute(_ANALYZE)


async def replace_verdicts(connection: AsyncConnection, rows: Iterable[EventRow | RejectedRow]) -> int:
    """Replace the stored verdicts on the rows' raw records, unless a later run has replaced them.

    The caller holds the exclusive lock on the verdicts. Returns for how many raw records the verdict was replaced.
    Raises psycopg.Error.
    """
    by_run: dict[Republication, list[EventRow | RejectedRow]] = defaultdict(list)
    for row in rows:
        assert row.republished_by is not None, "a verdict that was published again"
        by_run[row.republished_by].append(row)
    return sum([await _replace(connection, run, by_run[run]) for run in sorted(by_run)])


async def _replace(connection: AsyncConnection, by: Republication, rows: Sequence[EventRow | RejectedRow]) -> int:
    await load_again(connection, rows)
    won = await connection.execute(_RECORD_RUN, {"run": by.run, "redriven": by.redriven})
    await connection.execute("analyze pg_temp.again_won")
    await connection.execute(_DELETE_EVENTS)
    await connection.execute(_MARK_REJECTED if by.redriven else _DELETE_REJECTED)
    await connection.execute(_INSERT_EVENTS)
    await connection.execute(_INSERT_REJECTED)
    return won.rowcount


async def _copy(connection: AsyncConnection, statement: LiteralString, rows: Sequence[bytes]) -> None:
    if rows:
        async with connection.cursor() as cursor, cursor.copy(statement) as transfer:
            await transfer.write(copy_data(rows))
