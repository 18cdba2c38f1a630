"""Verdicts that were published again: they replace what was stored of the same raw record, in both tables.

Of several the latest run's counts, whatever the order in which they come, and once is as good as twice. So whoever
reads the topics from their beginning ends with the same rows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import LiteralString

from psycopg import AsyncConnection

from sinks.postgres.copy import copy_data
from sinks.tables.rows import EventRow, Judged, RejectedRow

EVENT_COLUMNS = """
event_id, application, session_id, category, name, occurred_at, received_at, schema_version, data,
source_partition, source_offset, client_event_id
"""

REJECTED_COLUMNS = """
event_id, application, session_id, category, name, timestamp, received_at, codes, errors, raw, raw_encoding,
raw_truncated, source_partition, source_offset, client_event_id
"""

_ALONE = "select pg_advisory_xact_lock(hashtext('eye.verdicts'), number) from unnest(%s::int[]) as number"

_TOGETHER = "select pg_advisory_xact_lock_shared(hashtext('eye.verdicts'), number) from unnest(%s::int[]) as number"

_AGAIN = """
create temporary table if not exists again_events (like eye.events including defaults) on commit delete rows;
create temporary table if not exists again_rejected (like eye.rejected_events including defaults)
on commit delete rows;
create temporary table if not exists again_won (like eye.replaced_verdicts) on commit delete rows;
truncate pg_temp.again_events, pg_temp.again_rejected, pg_temp.again_won;
"""

_COPY_EVENTS = f"copy pg_temp.again_events ({EVENT_COLUMNS}) from stdin (format binary)"

_COPY_REJECTED = f"copy pg_temp.again_rejected ({REJECTED_COLUMNS}) from stdin (format binary)"

_ANALYZE = "analyze pg_temp.again_events, pg_temp.again_rejected"

_WIN = """
with won as (
    insert into eye.replaced_verdicts (event_id, application, source_partition, source_offset, run, redriven)
    select event_id, application, source_partition, source_offset, %(run)s, %(redriven)s
    from (
        select event_id, application, source_partition, source_offset from pg_temp.again_events
        union select event_id, application, source_partition, source_offset from pg_temp.again_rejected
    ) judged
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


async def lock_verdicts(connection: AsyncConnection, *partitions: int, alone: bool) -> None:
    """Wait until nobody stores verdicts of a partition while another replaces some; held to the transaction's end."""
    await connection.execute(_ALONE if alone else _TOGETHER, (list(partitions),))


async def load_again(connection: AsyncConnection, rows: Iterable[EventRow | RejectedRow]) -> None:
    """Take rows into pg_temp.again_events and pg_temp.again_rejected, whatever was in there before."""
    rows = list(rows)
    await connection.execute(_AGAIN)
    await _copy(connection, _COPY_EVENTS, [row.copied for row in rows if isinstance(row, EventRow)])
    await _copy(connection, _COPY_REJECTED, [row.copied for row in rows if isinstance(row, RejectedRow)])
    await connection.execute(_ANALYZE)


async def replace_verdicts(connection: AsyncConnection, rows: Iterable[EventRow | RejectedRow]) -> int:
    """Replace what is stored of the rows' raw records, unless a later run has said something else of them.

    The caller has locked the verdicts for itself. Returns of how many raw records the verdict was replaced. Raises
    psycopg.Error.
    """
    by_run: dict[Judged, list[EventRow | RejectedRow]] = defaultdict(list)
    for row in rows:
        assert row.judged is not None, "a verdict that was published again"
        by_run[row.judged].append(row)
    return sum([await _replace(connection, judged, by_run[judged]) for judged in sorted(by_run)])


async def _replace(connection: AsyncConnection, judged: Judged, rows: Sequence[EventRow | RejectedRow]) -> int:
    await load_again(connection, rows)
    won = await connection.execute(_WIN, {"run": judged.run, "redriven": judged.redriven})
    await connection.execute("analyze pg_temp.again_won")
    await connection.execute(_DELETE_EVENTS)
    await connection.execute(_MARK_REJECTED if judged.redriven else _DELETE_REJECTED)
    await connection.execute(_INSERT_EVENTS)
    await connection.execute(_INSERT_REJECTED)
    return won.rowcount


async def _copy(connection: AsyncConnection, statement: LiteralString, rows: Sequence[bytes]) -> None:
    if rows:
        async with connection.cursor() as cursor, cursor.copy(statement) as transfer:
            await transfer.write(copy_data(rows))
