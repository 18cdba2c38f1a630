"""The Kafka cluster that Postgres remembers, for a gateway that has nothing to remember it by, or finds another one."""

from __future__ import annotations

from contextlib import suppress

from gateway.problems import Unavailable
from gateway.query.database import Database
from kafka_client.cluster_guard import AcceptedCluster

_ACCEPTED = "select cluster_id, formerly from eye.kafka_clusters where topic_prefix = %(topic_prefix)s"


async def accepted_cluster(database: Database, topic_prefix: str) -> AcceptedCluster | None:
    """Return what Postgres remembers of the topics' cluster; None where it does not, is away, or lacks the table."""
    with suppress(Unavailable):
        for row in await database.rows(_ACCEPTED, {"topic_prefix": topic_prefix}):
            return AcceptedCluster(row["cluster_id"], row["formerly"])
    return None
