"""A position that a frozen worker keeps locked: its session is ended, so that the partition's owner can go on.

Postgres heeds no timeout while a COPY waits for its client: a worker that is stopped in the middle of one would hold
its position for as long as it is. It has lost the partition, and its transaction is rolled back when its session ends.
"""

from __future__ import annotations

import logging

from schemas.record import place
from sinks.postgres.pool import Pool, lend

log = logging.getLogger(__name__)

# Ended in the select list, after the others were left out: in a `where` Postgres might end sessions before that.
_END = """
with frozen as materialized (
    select pid, application_name, extract(epoch from now() - state_change)::float8 as seconds
    from eye.sink_positions position join pg_stat_activity session on session.backend_xid = position.xmax
    where position.sink = %s and position.topic = %s and position.partition = %s
        and session.datname = current_database() and session.usename = current_user
        and session.wait_event = 'ClientRead' and now() - state_change > current_setting('lock_timeout')::interval
)
select pid, application_name, seconds, pg_terminate_backend(pid) from frozen
"""


async def end_frozen_holder(pool: Pool, sink: str, topic: str, partition: int) -> bool:
    """End the session that has a partition's position locked, if it has waited for its client since lock_timeout.

    For the owner of the partition, when it could not have the lock within that time. Only a session of the same
    role in the same database is ended. Returns whether one was. Raises psycopg.Error.
    """
    async with lend(pool) as connection:
        found = await (await connection.execute(_END, (sink, topic, partition))).fetchone()
    if found is None:
        return False
    pid, application, seconds, ended = found
    log.warning(
        "sink %s: the position in %s:%d is locked by session %d of %s, whose client has said nothing for %.0f s:"
        " the session is ended", sink, topic, partition, pid, application, seconds, extra=place(topic, partition),
    )  # fmt: skip
    return bool(ended)
