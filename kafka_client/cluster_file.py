"""A file that remembers the id of a Kafka cluster: beside a gateway's spool, or in the data directory."""

from __future__ import annotations

import logging
import os
import secrets
from contextlib import suppress
from pathlib import Path

from kafka_client.cluster_guard import ClusterMemory

log = logging.getLogger(__name__)


class ClusterFile(ClusterMemory):
    """Remembers the cluster of a topic in a directory, for all processes that share it.

    Where the directory can't be written, nothing outlives the process; the log says so.
    """

    def __init__(self, directory: Path, topic: str) -> None:
        self.path = directory / f"{topic}.cluster"
        self._scratch = directory / f".{topic}.cluster.{secrets.token_hex(4)}"  # process ids of containers are alike

    async def read(self) -> str | None:
        """Return what the file says, None where there is none."""
        return self.text()

    async def remember(self, cluster_id: str) -> str:
        """Write the file unless there is one; return what it says."""
        try:
            self._write_scratch(cluster_id)
            with suppress(FileExistsError):
                os.link(self._scratch, self.path)
            self._scratch.unlink()
        except OSError as error:
            log.warning("the id of Kafka's cluster, %s, can't be kept in %s: %s", cluster_id, self.path, error)
        return self.text() or cluster_id

    def text(self) -> str | None:
        """Return what the file says, None where there is none, or where it says nothing."""
        try:
            return self.path.read_text().strip() or None
        except OSError:
            return None

    def replace(self, cluster_id: str) -> None:
        """Write another id into the file. Raises OSError."""
        self._write_scratch(cluster_id)
        self._scratch.replace(self.path)

    def _write_scratch(self, cluster_id: str) -> None:
        self._scratch.parent.mkdir(parents=True, exist_ok=True)
        with self._scratch.open("w") as file:
            file.write(f"{cluster_id}\n")
            file.flush()
            os.fsync(file.fileno())
