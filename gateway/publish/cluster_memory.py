"""The cluster that a gateway belongs to: remembered beside its spool, since it has to work without Postgres."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from kafka_client.cluster_file import ClusterFile
from kafka_client.cluster_guard import AcceptedCluster, ClusterMemory

AskDatabase = Callable[[], Awaitable[AcceptedCluster | None]]


async def know_nothing() -> AcceptedCluster | None:
    """Return None, as a Postgres that is away."""
    return None


class GatewayMemory(ClusterMemory):
    """Remembers in a file; what Postgres says counts where the file is missing, or names a cluster it has replaced."""

    def __init__(self, file: ClusterFile, ask_database: AskDatabase = know_nothing) -> None:
        self._file = file
        self._ask_database = ask_database

    async def read(self) -> str | None:
        """Return what is remembered. Raises OSError where the file can't be read, or written."""
        accepted, kept = await self._ask_database(), await self._file.read()
        if accepted is None:
            return kept
        if kept is None:
            return await self._file.remember(accepted.cluster_id)
        if kept in accepted.formerly and kept != accepted.cluster_id:
            self._file.replace(accepted.cluster_id)
            return accepted.cluster_id
        return kept

    async def remember(self, cluster_id: str) -> str:
        """Write the file unless there is one; return what it says."""
        return await self._file.remember(cluster_id)
