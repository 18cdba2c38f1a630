"""End the session of a stale owner that keeps a position locked, so that the partition's owner can go on.

Postgres applies no timeout while a COPY waits for its client: a worker that is frozen during one would hold the lock on
its position without limit. It has lost the partition, and its transaction is rolled back when its session ends.
"""

from __future__ import annotations

import logging

from schemas.record import place
from sinks.postgres.pool import Pool, lend

log = logging.getLogger(__name__)

# pg_terminate_backend stands in the outer select list: in a `where` Postgres might call it before other conditions.
_END = """
with stale as materialized (
    select pid, application_name, extract(epoch from now() - state_change)::float8 as seconds
    from eye.sink_positions position join pg_stat_activity session on session.backend_xid = position.xmax
    where position.sink = %s and position.topic = %s and position.partition = %s
        and session.datname = current_database() and session.usename = current_user
        and session.wait_event = 'ClientRead' and now() - state_change > current_setting('lock_timeout')::interval
)
select pid, application_name, seconds, pg_terminate_backend(pid) from stale
"""


async def end_stale_owner(pool: Pool, sink: str, topic: str, partition: int) -> bool:
    """End the session that holds the lock on a position, if it has waited for its client for lock_timeout or longer.

    Called by the partition's owner after it waited that long. Ends only a session of the same role in the same
    database. Returns whether it ended one. Raises psycopg.Error.
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
