"""The Kafka cluster of this database's rows and positions, in eye.kafka_clusters."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
from psycopg import AsyncConnection

from kafka_client.cluster_guard import AcceptedCluster, ClusterMemory
from sinks.positions import delete_positions
from sinks.postgres.pool import Pool, lend

_READ = "select cluster_id, formerly from eye.kafka_clusters where topic_prefix = %s"

_REMEMBER = """
insert into eye.kafka_clusters (topic_prefix, cluster_id) values (%s, %s) on conflict do nothing
"""

_ACCEPT = """
insert into eye.kafka_clusters as remembered (topic_prefix, cluster_id) values (%s, %s)
on conflict (topic_prefix) do update
set cluster_id = excluded.cluster_id, formerly = array_append(remembered.formerly, remembered.cluster_id), since = now()
where remembered.cluster_id <> excluded.cluster_id
"""


class DatabaseMemory(ClusterMemory):
    """Remembers the cluster of the topics with a prefix; waits for no table: without `eye migrate` it knows nothing."""

    def __init__(self, pool: Pool, topic_prefix: str) -> None:
        self._pool = pool
        self._topic_prefix = topic_prefix

    async def read(self) -> str | None:
        """Return what is remembered. Raises psycopg.Error while Postgres is away."""
        try:
            async with lend(self._pool) as connection:
                found = await read_cluster(connection, self._topic_prefix)
        except psycopg.errors.UndefinedTable:
            return None
        return None if found is None else found.cluster_id

    async def remember(self, cluster_id: str) -> str:
        """Remember an id unless there is one; return the one that is remembered."""
        try:
            async with lend(self._pool) as connection:
                return await remember_cluster(connection, self._topic_prefix, cluster_id)
        except psycopg.errors.UndefinedTable:
            return cluster_id


async def read_cluster(connection: AsyncConnection, topic_prefix: str) -> AcceptedCluster | None:
    """Return the cluster of the topics with a prefix, None before there is one."""
    row = await (await connection.execute(_READ, (topic_prefix,))).fetchone()
    return None if row is None else AcceptedCluster(*row)


async def remember_cluster(connection: AsyncConnection, topic_prefix: str, cluster_id: str) -> str:
    """Remember a cluster unless there is one; return the one that is remembered."""
    await connection.execute(_REMEMBER, (topic_prefix, cluster_id))
    found = await read_cluster(connection, topic_prefix)
    assert found is not None
    return found.cluster_id


async def accept_cluster(connection: AsyncConnection, topic_prefix: str, cluster_id: str, forget: Sequence[str]) -> int:
    """Remember another cluster instead, and forget the positions in topics, which mean nothing there.

    The sinks read these topics from their beginning then, which stores no row twice. Returns how many positions
    were forgotten.
    """
    async with connection.transaction():
        await connection.execute(_ACCEPT, (topic_prefix, cluster_id))
        return await delete_positions(connection, forget)
