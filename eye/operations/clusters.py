"""The Kafka cluster of a deployment: written down, compared with the one that answers, or accepted in its place."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field

import psycopg
from aiokafka.errors import KafkaError
from psycopg.conninfo import make_conninfo

from gateway.publish.cluster_memory import GatewayMemory
from kafka_client.cluster_file import ClusterFile
from kafka_client.cluster_guard import AcceptedCluster, ClusterGuard, ForeignCluster, ask_cluster_id
from postgres_client.connection import READ, WRITE, Connection, Session
from schemas.settings import Settings, SettingsError
from schemas.topics import topic_names
from sinks import kafka_clusters

log = logging.getLogger(__name__)

_CONNECT_SECONDS = 5


@dataclass(frozen=True, slots=True)
class ClusterState:
    """The id of the cluster that answers, and the ids that are remembered, by place."""

    found: str | None
    remembered: dict[str, str] = field(default_factory=dict)

    @property
    def differences(self) -> list[str]:
        """Sentences that say who remembers another cluster than the one that answers; empty where nobody does."""
        return [
            f"{place} remembers {cluster_id}"
            for place, cluster_id in self.remembered.items()
            if cluster_id != self.found
        ]


async def cluster_state(settings: Settings) -> ClusterState:
    """Compare the cluster that answers with what is remembered. Raises KafkaError; a Postgres that is away is left out.

    Looks into Postgres, the settings, and the files of this machine's gateways and streams.
    """
    remembered = {file.path.as_posix(): text for file in _files(settings) if (text := file.text())}
    if settings.kafka_cluster_id:
        remembered["EYE_KAFKA_CLUSTER_ID"] = settings.kafka_cluster_id
    if (accepted := await _in_postgres(settings)) is not None:
        remembered["Postgres"] = accepted.cluster_id
    return ClusterState(await ask_cluster_id(settings.kafka_client()), remembered)


async def deployment_guard(settings: Settings) -> ClusterGuard:
    """Return a guard that knows the cluster that Postgres or the settings name; none where neither does."""
    accepted = await _in_postgres(settings)
    guard = ClusterGuard(ClusterFile(settings.data_dir, topic_names(settings).raw), settings.kafka_cluster_id)
    guard.known = accepted.cluster_id if accepted is not None else settings.kafka_cluster_id
    return guard


def spool_guard(settings: Settings) -> ClusterGuard:
    """Return the guard of a gateway with the settings' spool directory; it is still to learn its cluster."""
    memory = GatewayMemory(
        ClusterFile(settings.spool_directory, topic_names(settings).raw), lambda: _in_postgres(settings)
    )
    return ClusterGuard(memory, settings.kafka_cluster_id)


async def demand_own_cluster(settings: Settings) -> None:
    """Raise ForeignCluster where Kafka is another cluster than the one of the rows in Postgres."""
    guard = await deployment_guard(settings)
    if guard.known is not None:
        guard.check(await ask_cluster_id(settings.kafka_client()))


async def write_down(settings: Settings) -> str | None:
    """Have Postgres remember the cluster that answers, unless it remembers one; return the one it remembers then.

    None where Kafka or Postgres are not set, are away, or not migrated: the sinks write it down when they start.
    """
    try:
        found = await ask_cluster_id(settings.kafka_client())
        if found is None or settings.kafka_cluster_id not in (None, found):
            return None
        async with await _connect(settings, WRITE) as connection:
            return await kafka_clusters.remember_cluster(connection, settings.topic_prefix, found)
    except (KafkaError, OSError, SettingsError, psycopg.Error) as error:
        log.debug("the cluster's id is not written down: %r", error)
        return None


async def accept(settings: Settings, found: str, *, keep_positions: bool) -> int:
    """Have Postgres, and the files of this machine, remember a cluster instead of the one before.

    Returns how many positions of the sinks were forgotten. Raises psycopg.Error, OSError.
    """
    names = topic_names(settings)
    forget = () if keep_positions else (names.validated, names.rejected, names.sessions)
    async with await _connect(settings, WRITE) as connection:
        before = await kafka_clusters.read_cluster(connection, settings.topic_prefix)
        if before is not None and before.cluster_id == found:
            forget = ()
        forgotten = await kafka_clusters.accept_cluster(connection, settings.topic_prefix, found, forget)
    for file in _files(settings):
        if file.text():
            file.replace(found)
    return forgotten


async def foreign_note(settings: Settings) -> str | None:
    """Return a sentence where the rows in Postgres are of another cluster than the one that answers, else None."""
    try:
        await demand_own_cluster(settings)
    except ForeignCluster as foreign:
        return f"{foreign}. The rows are of the one, the raw records of the other: compare them only when it is mended"
    return None


async def _in_postgres(settings: Settings) -> AcceptedCluster | None:
    """Return what Postgres remembers, None where it is not set, away, or not migrated."""
    try:
        async with await _connect(settings, READ) as connection:
            return await kafka_clusters.read_cluster(connection, settings.topic_prefix)
    except (SettingsError, psycopg.Error):
        return None


async def _connect(settings: Settings, session: Session) -> Connection:
    given = settings.read_dsn if session is READ and settings.postgres_dsn is None else None
    dsn = make_conninfo(given or settings.dsn, connect_timeout=_CONNECT_SECONDS)
    return await Connection.connect(dsn, session=session)


def _files(settings: Settings) -> Iterator[ClusterFile]:
    """Yield the files of this machine's gateways and streams, there or not."""
    for directory in {settings.data_dir, settings.spool_directory}:
        yield ClusterFile(directory, topic_names(settings).raw)
