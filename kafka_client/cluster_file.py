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

    Where the directory can't be written, nothing outlives the process; the log says so. A file that is there and
    can't be read is no empty memory: `read` and `remember` raise OSError.
    """

    def __init__(self, directory: Path, topic: str) -> None:
        self.path = directory / f"{topic}.cluster"
        self._scratch = directory / f".{topic}.cluster.{secrets.token_hex(4)}"  # process ids of containers are alike

    async def read(self) -> str | None:
        """Return what the file says, None where there is none, or where it says nothing. Raises OSError."""
        try:
            return self.path.read_text().strip() or None
        except (FileNotFoundError, NotADirectoryError):
            return None

    async def remember(self, cluster_id: str) -> str:
        """Write the file unless there is one that says something; return what it says. Raises OSError."""
        try:
            self._write_scratch(cluster_id)
            with suppress(FileExistsError):
                os.link(self._scratch, self.path)
            if await self.read() is None:
                self._scratch.replace(self.path)
            self._scratch.unlink(missing_ok=True)
        except OSError as error:
            log.warning("the id of Kafka's cluster, %s, can't be kept in %s: %s", cluster_id, self.path, error)
        return await self.read() or cluster_id

    def text(self) -> str | None:
        """Return what the file says, None where there is none, where it says nothing, or where it can't be read."""
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
