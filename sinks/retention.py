"""Retention: drop old partitions of eye.events, delete old rejected events, sessions and records of replacements.

A key in eye.event_keys prevents that its event is stored twice, so it is kept as long as the row, and the row as long
as Kafka may hold a record of it: an expired event cannot come back by itself. A replaced verdict is remembered as long
as Kafka may hold the first one, and the attempts of a rejected event as long as the event.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import astuple, dataclass
from datetime import UTC, datetime, timedelta
from typing import LiteralString, NamedTuple

from psycopg import AsyncConnection, sql

from schemas.settings import Settings

log = logging.getLogger(__name__)

SEGMENT = timedelta(days=7)
"""Longest time that a record may outlive its topic's retention, since Kafka deletes whole segments (segment.ms)."""

BATCH_ROWS = 5_000
BATCH_BLOCKS = 256

_LOCK = "select pg_try_advisory_xact_lock(hashtext('eye.operations.retention'))"

_PARTITIONS = r"""
select class.relname, class.relispartition from pg_class class
where class.relnamespace = 'eye'::regnamespace and class.relkind = 'r' and class.relname ~ '^events_\d{4}_\d{2}$'
order by class.relname
"""

_BLOCKS = "select pg_relation_size(%s::regclass) / current_setting('block_size')::int"

_DETACH = "select eye.detach_event_partition(%s)"

_KEEP_LATE_ROWS = """
with late as (
    delete from eye.{partition} where ctid >= {first}::tid and ctid < {end}::tid and received_at >= {horizon}
    returning *
)
insert into eye.events select * from late
"""

_DROP_KEYS = """
delete from eye.event_keys key using eye.{partition} expired
where expired.ctid >= {first}::tid and expired.ctid < {end}::tid
and key.event_id = expired.event_id and key.application = expired.application and key.occurred_at = expired.occurred_at
"""

_DROP = "select eye.drop_event_partition(%s)"

_DEFAULT = "eye.events_default where occurred_at < %(horizon)s and received_at < %(horizon)s"
_REJECTED = "eye.rejected_events where received_at < %(horizon)s"
_SESSIONS = "eye.sessions where updated_at < %(horizon)s"
_REPLACED = "eye.replaced_verdicts where run < to_char(%(horizon)s at time zone 'UTC', 'YYYYMMDD-HH24MISS')"
_ATTEMPTS = """
eye.redrive_attempts tried where last_at < %(horizon)s and not exists (
    select from eye.rejected_events rejected where rejected.event_id = tried.event_id
    and rejected.application = tried.application and rejected.received_at >= %(horizon)s
)
"""

_DELETE_DEFAULT = f"""
with gone as (
    delete from eye.events_default where ctid = any(array(select ctid from {_DEFAULT} limit %(batch)s))
    returning event_id, application, occurred_at
), keys as (
    delete from eye.event_keys key using gone
    where key.event_id = gone.event_id and key.application = gone.application and key.occurred_at = gone.occurred_at
)
select count(*) from gone
"""


def _delete_batch(table: LiteralString, due: LiteralString) -> LiteralString:
    """Return the statement that deletes a batch of a table's expired rows."""
    some = f"delete from {table} where ctid = any(array(select ctid from {due} limit %(batch)s)) returning 1"
    return f"with gone as ({some}) select count(*) from gone"


_DELETE_REJECTED = _delete_batch("eye.rejected_events", _REJECTED)
_DELETE_REPLACED = _delete_batch("eye.replaced_verdicts", _REPLACED)
_DELETE_ATTEMPTS = _delete_batch("eye.redrive_attempts", _ATTEMPTS)

_DELETE_SESSIONS = """
delete from eye.sessions where ctid >= {first}::tid and ctid < {end}::tid and updated_at < {horizon}
"""


class Policy(NamedTuple):
    """The ages at which rows expire; None: never. The age of `events` counts from occurrence and reception.

    The age of `replaced` verdicts counts from the start of the run that replaced them, which is in the run's id.
    """

    events: timedelta | None
    rejected: timedelta | None
    sessions: timedelta | None
    replaced: timedelta


@dataclass(slots=True)
class Expired:
    """Expired or deleted: names of partitions, and numbers of rows in other tables."""

    partitions: list[str]
    default_events: int
    rejected_events: int
    sessions: int
    replaced_verdicts: int = 0
    redrive_attempts: int = 0

    @property
    def anything(self) -> bool:
        """True if there is at least one partition or row."""
        return any(astuple(self))


def policy_of(settings: Settings) -> Policy:
    """Return the policy of the settings.

    One rule holds for all tables: a row is kept at least as long as Kafka may hold a record that it is made of, in
    `events.raw` or in its own topic (for a rejected event `events.validated` too: what a table refuses comes from
    there). `sessions` is compacted and holds the last summary for ever: one that a replay brings back expires again.
    """
    raw, validated = settings.raw_retention_hours, settings.validated_retention_hours
    rejected = settings.rejected_retention_hours
    return Policy(
        events=_kept(settings.events_retention_days, raw, validated),
        rejected=_kept(settings.rejected_retention_days, raw, validated, rejected),
        sessions=_kept(settings.sessions_retention_days, raw),
        replaced=_in_kafka(raw, validated, rejected),
    )


def _kept(days: int | None, *hours: int) -> timedelta | None:
    """Return how long rows are kept whose topics are kept for these hours; None: for ever."""
    return max(timedelta(days=days), _in_kafka(*hours)) if days else None


def _in_kafka(*hours: int) -> timedelta:
    """Return how long Kafka may hold a record of topics that are kept for these hours."""
    return timedelta(hours=max(hours)) + SEGMENT


async def find_expired(connection: AsyncConnection, policy: Policy, now: datetime) -> Expired:
    """Return the partitions and rows that have expired; change nothing. Raises psycopg.Error."""
    return Expired(
        partitions=[name for name, _ in await _due(connection, policy, now)],
        default_events=await _count(connection, _DEFAULT, now, policy.events),
        rejected_events=await _count(connection, _REJECTED, now, policy.rejected),
        sessions=await _count(connection, _SESSIONS, now, policy.sessions),
        replaced_verdicts=await _count(connection, _REPLACED, now, policy.replaced),
        redrive_attempts=await _count(connection, _ATTEMPTS, now, policy.rejected),
    )


async def take_out_expired(connection: AsyncConnection, policy: Policy, now: datetime) -> Expired | None:
    """Delete the expired partitions and rows, and return them; None when another process is doing it.

    The connection is in autocommit mode. Writers wait only while a partition is detached, 3 s at most: everything else
    is done in small transactions, and can be interrupted and repeated at any point. Raises psycopg.Error.
    """
    try:
        return await _take_out(connection, policy, now)
    except _Busy:
        return None


async def _take_out(connection: AsyncConnection, policy: Policy, now: datetime) -> Expired:
    due = await _due(connection, policy, now)
    for partition, attached in due:
        assert policy.events is not None
        await _drop_partition(connection, partition, attached, now - policy.events)
    return Expired(
        partitions=[name for name, _ in due],
        default_events=await _delete(connection, _DELETE_DEFAULT, now, policy.events),
        rejected_events=await _delete(connection, _DELETE_REJECTED, now, policy.rejected),
        sessions=await _delete_sessions(connection, now, policy.sessions),
        replaced_verdicts=await _delete(connection, _DELETE_REPLACED, now, policy.replaced),
        redrive_attempts=await _delete(connection, _DELETE_ATTEMPTS, now, policy.rejected),
    )


class _Busy(Exception):
    """Another process is deleting expired rows."""


@asynccontextmanager
async def _transaction(connection: AsyncConnection) -> AsyncIterator[None]:
    """Enclose a transaction that holds the lock of retention. Raises _Busy when another process holds it.

    The lock ends with each transaction, since a session's lock would stay behind on a connection of PgBouncer. Of two
    processes that begin at once, one gives up at its next transaction.
    """
    async with connection.transaction():
        if await (await connection.execute(_LOCK)).fetchone() != (True,):
            raise _Busy
        yield


async def _due(connection: AsyncConnection, policy: Policy, now: datetime) -> list[tuple[str, bool]]:
    """Return the expired monthly partitions, and whether each is still attached.

    Those of this month and the last are never among them, since `make_partitions` would make them again.
    """
    if policy.events is None:
        return []
    horizon = min(now - policy.events, _beginning_of_last_month(now))
    partitions = await (await connection.execute(_PARTITIONS)).fetchall()
    return [(name, attached) for name, attached in partitions if _end_of(name) <= horizon]


def _beginning_of_last_month(now: datetime) -> datetime:
    last = now.astimezone(UTC).replace(day=1) - timedelta(days=1)
    return datetime(last.year, last.month, 1, tzinfo=UTC)


def _end_of(partition: str) -> datetime:
    """Return the first moment after a partition's month."""
    year, month = int(partition[7:11]), int(partition[12:14])
    return datetime(year + month // 12, month % 12 + 1, 1, tzinfo=UTC)


async def _drop_partition(connection: AsyncConnection, partition: str, attached: bool, horizon: datetime) -> None:
    """Detach a partition, move late rows to the default partition, delete the other keys, drop the partition.

    Late rows, received within the retention time, are deleted from the default partition when they expire.
    """
    name = sql.Identifier(partition)
    if attached:
        async with _transaction(connection):
            await connection.execute("set local lock_timeout = '3s'")
            await connection.execute(_DETACH, (partition,))
    async for first, end in _ranges(connection, f"eye.{partition}"):
        places = {"partition": name, "first": first, "end": end, "horizon": sql.Literal(horizon)}
        async with _transaction(connection):
            await connection.execute(sql.SQL(_KEEP_LATE_ROWS).format(**places))
            await connection.execute(sql.SQL(_DROP_KEYS).format(**places))
    async with _transaction(connection):
        await connection.execute(_DROP, (partition,))
    log.info("retention: partition %s is dropped", partition)


async def _ranges(connection: AsyncConnection, table: str) -> AsyncIterator[tuple[sql.Literal, sql.Literal]]:
    """Yield ranges of a table's blocks, one for each small transaction."""
    row = await (await connection.execute(_BLOCKS, (table,))).fetchone()
    for first in range(0, row[0] if row else 0, BATCH_BLOCKS):
        yield sql.Literal(f"({first},0)"), sql.Literal(f"({first + BATCH_BLOCKS},0)")


async def _count(connection: AsyncConnection, what: LiteralString, now: datetime, kept: timedelta | None) -> int:
    if kept is None:
        return 0
    row = await (await connection.execute(f"select count(*) from {what}", {"horizon": now - kept})).fetchone()
    return int(row[0]) if row else 0


async def _delete(connection: AsyncConnection, statement: LiteralString, now: datetime, kept: timedelta | None) -> int:
    """Delete expired rows batch by batch; return their number."""
    number = 0
    while kept is not None:
        wanted = {"horizon": now - kept, "batch": BATCH_ROWS}
        async with _transaction(connection):
            row = await (await connection.execute(statement, wanted)).fetchone()
        if row is None or not row[0]:
            break
        number += row[0]
    return number


async def _delete_sessions(connection: AsyncConnection, now: datetime, kept: timedelta | None) -> int:
    """Delete sessions by ranges of blocks: an index on updated_at would slow down every update."""
    number = 0
    if kept is not None:
        async for first, end in _ranges(connection, "eye.sessions"):
            places = {"first": first, "end": end, "horizon": sql.Literal(now - kept)}
            async with _transaction(connection):
                number += (await connection.execute(sql.SQL(_DELETE_SESSIONS).format(**places))).rowcount
    return number
