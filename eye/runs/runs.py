"""The record of each run in Postgres: its owner, times, selection, progress and result."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec
from psycopg import AsyncConnection
from psycopg.rows import dict_row

from eye.runs.claims import WORKER, claim, somebody
from eye.runs.errors import ReplayError
from eye.runs.plan import Span
from eye.runs.selection import Selection
from sinks.positions import Position
from sinks.postgres.pool import Pool, lend
from stream.runner.chunk import Chunk

DONE, FAILED, STOPPED, CANCELLED, RUNNING = "done", "failed", "stopped", "cancelled", "running"

_BEGIN = "insert into eye.replays (run, target, selection, options, started_by) values (%s, %s, %s, %s, %s)"

_BEGIN_PARTITION = """
insert into eye.replay_partitions (run, topic, partition, first_offset, next_offset, end_offset)
values (%s, %s, %s, %s, %s, %s)
"""

_ADVANCE = """
update eye.replay_partitions partition
set next_offset = %s, selected = selected + %s, changed = changed + %s
from eye.replays replay join eye.replay_workers worker using (run)
where partition.run = %s and topic = %s and partition.partition = %s and next_offset = %s
    and replay.run = partition.run and replay.status = 'running' and worker.worker = %s
"""

_CORRECT = """
update eye.replay_partitions set changed = changed + %s where run = %s and topic = %s and partition = %s
"""

_OPTION = "update eye.replays set options = options || %s where run = %s"

_SET_STATUS = """
update eye.replays set status = %s, result = coalesce(%s, result), ended_at = now()
where run = %s and status = 'running'
    and exists (select from eye.replay_workers worker where worker.run = replays.run and worker.worker = %s)
"""

_RESUME = "update eye.replays set status = 'running', ended_at = null where run = %s and status <> all(%s)"

_STATUS = """
select status, (select worker from eye.replay_workers where run = replays.run) from eye.replays where run = %s for share
"""

_CANCEL = "update eye.replays set status = 'cancelled', ended_at = now() where run = %s and status not in ('done')"

_RUNS = """
select run, target, selection, options, started_by, started_at, ended_at, status, result,
    coalesce(sum(end_offset - first_offset), 0)::bigint as records,
    coalesce(sum(next_offset - first_offset), 0)::bigint as read,
    greatest(
        coalesce(sum(selected), 0), (select count(*) from eye.redrive_attempts where last_run = replays.run),
        (result->>'selected')::bigint
    )::bigint as selected,
    greatest(
        coalesce(sum(changed), 0), (select count(*) from eye.replaced_verdicts where run = replays.run),
        (result->>'changed')::bigint
    )::bigint as changed
from eye.replays left join eye.replay_partitions using (run)
where %(run)s::text is null or run = %(run)s
group by run order by run desc limit %(limit)s
"""

_PARTITIONS = """
select topic, partition, first_offset, next_offset, end_offset, selected, changed
from eye.replay_partitions where run = %s order by topic, partition
"""


class Run(msgspec.Struct):
    """A run as it is recorded; `records`, `read`, `selected` and `changed` are sums over its partitions."""

    run: str
    target: str
    selection: Selection
    options: dict[str, Any]
    started_by: str
    started_at: datetime
    ended_at: datetime | None
    status: str
    result: Any
    records: int
    read: int
    selected: int
    changed: int


class RunPartition(msgspec.Struct):
    """Progress of a run in one partition."""

    topic: str
    partition: int
    first_offset: int
    next_offset: int
    end_offset: int
    selected: int
    changed: int

    @property
    def whole(self) -> Span:
        """All the offsets of the run in this partition."""
        return Span(self.topic, self.partition, self.first_offset, self.end_offset)

    @property
    def rest(self) -> Span:
        """The offsets that are still to be done."""
        return Span(self.topic, self.partition, self.next_offset, self.end_offset)


def new_run_id(now: datetime) -> str:
    """Return an id that nobody else has and that sorts by time, as retention relies on: 20261122-174312-3f9a."""
    return f"{now.astimezone(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


async def begin(pool: Pool, target: str, selection: Selection, options: dict[str, Any], spans: Iterable[Span]) -> str:
    """Record a new run and return its id."""
    run = new_run_id(datetime.now(UTC))
    row = (run, target, _json(selection), _json(options), somebody())
    async with lend(pool) as connection, connection.transaction():
        await connection.execute(_BEGIN, row)
        for topic, partition, start, end in spans:
            await connection.execute(_BEGIN_PARTITION, (run, topic, partition, start, start, end))
    await claim(pool, run, is_running=False)
    return run


async def resume(pool: Pool, run: str) -> Run:
    """Take a run up again and return it.

    Raises ReplayError when there is none such, nothing is left of it to do, or a process works on it.
    """
    found = await get(pool, run)
    if found.status not in (DONE, CANCELLED):
        await claim(pool, run, is_running=found.status == RUNNING)
    async with lend(pool) as connection:
        taken = await connection.execute(_RESUME, (run, [DONE, CANCELLED]))
    if not taken.rowcount:
        raise ReplayError(f"run {run} is {found.status}: there is nothing to resume")
    return found


async def end(pool: Pool, run: str, status: str, result: Any = None) -> None:
    """Record the result of a run, unless it was cancelled meanwhile, or another process has taken it up."""
    async with lend(pool) as connection:
        await connection.execute(_SET_STATUS, (status, None if result is None else _json(result), run, WORKER))


async def cancel(pool: Pool, run: str) -> None:
    """Make a run stop where it is, for good. Raises ReplayError when it is unknown or done."""
    found = await get(pool, run)
    async with lend(pool) as connection:
        cancelled = await connection.execute(_CANCEL, (run,))
    if not cancelled.rowcount:
        raise ReplayError(f"run {run} is {found.status} already")


async def get(pool: Pool, run: str) -> Run:
    """Return a run. Raises ReplayError when there is none such."""
    for found in await _read(pool, run, 1):
        return found
    raise ReplayError(f"there is no run {run}; `eye replay list` shows them")


async def latest(pool: Pool, limit: int) -> list[Run]:
    """Return the latest runs, the newest first."""
    return await _read(pool, None, limit)


async def partitions(pool: Pool, run: str) -> list[RunPartition]:
    """Return how far a run has come, by partition."""
    async with lend(pool) as connection:
        rows = await (await connection.cursor(row_factory=dict_row).execute(_PARTITIONS, (run,))).fetchall()
    return msgspec.convert(rows, list[RunPartition])


async def set_option(connection: AsyncConnection, run: str, **options: Any) -> None:
    """Keep something with the run, within the caller's transaction."""
    await connection.execute(_OPTION, (_json(options), run))


async def still_running(connection: AsyncConnection, run: str) -> None:
    """Hold a run's status until the caller's transaction ends. Raises ReplayError when it is no longer ours."""
    found = await (await connection.execute(_STATUS, (run,))).fetchone()
    if found != (RUNNING, WORKER):
        raise ReplayError(f"run {run} was cancelled, or another process works on it")


class RunPosition(Position):
    """Position of a run in one partition; it moves in the transaction of the rows, while the run is not cancelled."""

    def __init__(self, run: str) -> None:
        self._run = run

    async def advance(self, connection: AsyncConnection, chunk: Chunk, rows: int) -> None:
        """Move by compare-and-set. Raises ReplayError when the run was cancelled or somebody else works on it."""
        counts = (chunk.next_offset, len(chunk.records), rows)
        moved = await connection.execute(
            _ADVANCE, (*counts, self._run, chunk.topic, chunk.partition, chunk.start, WORKER)
        )
        if moved.rowcount != 1:
            raise ReplayError(f"run {self._run} was cancelled, or another process works on it")
        self._at = (chunk.topic, chunk.partition)

    async def correct(self, connection: AsyncConnection, rows: int) -> None:
        """Correct how many rows the run has changed."""
        await connection.execute(_CORRECT, (rows, self._run, *self._at))


async def _read(pool: Pool, run: str | None, limit: int) -> list[Run]:
    async with lend(pool) as connection:
        cursor = await connection.cursor(row_factory=dict_row).execute(_RUNS, {"run": run, "limit": limit})
        return msgspec.convert(await cursor.fetchall(), list[Run])


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
