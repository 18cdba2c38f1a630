"""What a run takes over from the sinks, so that new events need not wait behind it.

The sinks' positions move behind it, in the transaction that notes it with the run; what is not stored yet stands in
eye.backlogs. It is handed back when the run stops or is cancelled. The sinks then read again what they had stored
meanwhile, which adds no row twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from psycopg import AsyncConnection

_BEGIN = """
insert into eye.sink_positions (sink, topic, partition, next_offset) values (%s, %s, %s, %s) on conflict do nothing
"""

_LOCK = """
select next_offset from eye.sink_positions
where sink = %s and topic = %s and partition = %s and next_offset >= %s and next_offset < %s
for update
"""

_MOVE = """
update eye.sink_positions set next_offset = %s, updated_at = now() where sink = %s and topic = %s and partition = %s
"""

_NOTE = """
update eye.replay_partitions
set sink = %s, taken_from = least(taken_from, %s), taken_to = %s, moved_at = now()
where run = %s and topic = %s and partition = %s
"""

_MOVE_BACK = """
update eye.sink_positions position
set next_offset = least(position.next_offset, backlog.next_offset), updated_at = now()
from eye.backlogs backlog
where backlog.run = %s
    and (backlog.sink, backlog.topic, backlog.partition) = (position.sink, position.topic, position.partition)
"""

_FORGET = "update eye.replay_partitions set sink = null, taken_from = null, taken_to = null where run = %s"

_HELD = """
select run, sum(end_offset - next_offset)::bigint, extract(epoch from now() - max(moved_at))::float8
from eye.backlogs group by run order by run
"""


class Backlog(NamedTuple):
    """Offsets of one partition that a run stores from `start` on, and up to which of them a sink may leave it to it.

    `whole` says that there is no record before `start`: then a sink that has no position yet would begin there.
    """

    sink: str
    topic: str
    partition: int
    start: int
    end: int
    whole: bool


class Held(NamedTuple):
    """How many offsets a run has still to store in the sinks' place, and for how many seconds it has stored none."""

    run: str
    offsets: int
    still_seconds: float


async def take_over(connection: AsyncConnection, run: str, backlogs: Iterable[Backlog]) -> None:
    """Move the sinks that are within a backlog to its end; needs a transaction, which holds the run's row."""
    for sink, topic, partition, start, end, whole in backlogs:
        key = (sink, topic, partition)
        if whole:
            await connection.execute(_BEGIN, (*key, start))
        found = await (await connection.execute(_LOCK, (*key, start, end))).fetchone()
        if found is not None:
            await connection.execute(_MOVE, (end, *key))
            await connection.execute(_NOTE, (sink, found[0], end, run, topic, partition))


async def hand_back(connection: AsyncConnection, run: str) -> None:
    """Move the sinks back to where the run has come to; needs a transaction, which holds the run's row."""
    await connection.execute(_MOVE_BACK, (run,))
    await connection.execute(_FORGET, (run,))


async def held_backlogs(connection: AsyncConnection) -> list[Held]:
    """Return what runs have taken over and not stored yet."""
    return [Held(*row) for row in await (await connection.execute(_HELD)).fetchall()]
