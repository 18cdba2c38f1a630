"""The guard of a cluster: the clients of a process refuse a Kafka that is not the one it belongs to.

An address says nothing of who answers there: a port that changed hands, a wrong DNS entry, a restored backup. Each
connection of a guarded client asks for the cluster's id before anything else, so that no record is written to
another cluster, or read from it, however the client came to connect to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaConnectionError, KafkaError
from aiokafka.protocol.metadata import MetadataRequest

_ASK_SECONDS = 10.0

ACCEPT = "if that is as it should be, say `eye topics accept-cluster`"
"""The mend, as part of a sentence."""


class ForeignCluster(KafkaConnectionError):  # type: ignore[misc]
    """The Kafka at an address is another cluster; the message says which, and what to do."""


class AcceptedCluster(NamedTuple):
    """The cluster that is remembered, and those that it was accepted instead of."""

    cluster_id: str
    formerly: Sequence[str] = ()


class ClusterMemory(Protocol):
    """The place where a deployment remembers its cluster's id."""

    async def read(self) -> str | None:
        """Return what is remembered, None before there is anything."""

    async def remember(self, cluster_id: str) -> str:
        """Remember an id unless there is one already; return the one that is remembered then."""


class ClusterGuard:
    """Knows the cluster of a process, once `learn` has returned, and refuses every other one.

    `pinned` is the id that the settings name. It may be used from several threads.
    """

    def __init__(self, memory: ClusterMemory, pinned: str | None = None) -> None:
        self._memory = memory
        self._pinned = pinned
        self.known: str | None = None
        self.foreign: str | None = None

    @property
    def fault(self) -> str | None:
        """The reason for which Kafka is left alone, in a sentence; None while it is the right one."""
        if self.foreign is None:
            return None
        return f"Kafka is another cluster: {self.foreign}, not {self.known}; {ACCEPT}"

    async def learn(self, options: Mapping[str, Any]) -> None:
        """Find out which cluster is ours: the one that is remembered, else the one that answers, from now on.

        A cluster that is known already stays ours where nothing is remembered of it, or not any more.
        `options` are those of an aiokafka client. Raises KafkaError or OSError where Kafka has to be asked and is
        away, ForeignCluster where settings and memory differ, and as the memory does.
        """
        remembered = await self._memory.read()
        if self._pinned and remembered not in (None, self._pinned):
            self.known, self.foreign = remembered, self._pinned
            raise ForeignCluster(f"EYE_KAFKA_CLUSTER_ID is {self._pinned}, but {remembered} is remembered; {ACCEPT}")
        if remembered is None:
            found = await ask_cluster_id(options)
            self.known = self._pinned or self.known or found
            self.check(found)
            if found is not None:
                self.known = await self._memory.remember(found)
        else:
            self.known = remembered

    async def changed(self) -> bool:
        """Tell whether another cluster than the known one is remembered by now: somebody has accepted it."""
        remembered = await self._memory.read()
        return remembered is not None and remembered != self.known

    def check(self, found: str | None) -> None:
        """Look at the id of a cluster that was connected to. Raises ForeignCluster."""
        if self.known is None or found == self.known:
            self.foreign = None
            return
        self.foreign = found or "one without an id"
        raise ForeignCluster(self.fault)


class ClientId(str):
    """A client id that brings the guard to each connection of an aiokafka client, see `amendments`."""

    __slots__ = ("guard",)
    guard: ClusterGuard


def guarded(options: Mapping[str, Any], guard: ClusterGuard | None, name: str = "eye") -> dict[str, Any]:
    """Return the options of an aiokafka client of that name whose connections are guarded, where there is a guard."""
    client_id = ClientId(name)
    if guard is not None:
        client_id.guard = guard
    return {**options, "client_id": client_id}


async def ask_cluster_id(options: Mapping[str, Any]) -> str | None:
    """Return the id of the cluster that answers, None where it has none. Raises KafkaError or OSError."""
    client = AIOKafkaClient(**{**options, "client_id": "eye"}, request_timeout_ms=int(_ASK_SECONDS * 1000))
    try:
        async with asyncio.timeout(_ASK_SECONDS):
            await client.bootstrap()
            response = await client.send(client.get_random_node(), MetadataRequest([]))
    except TimeoutError:
        raise KafkaError(f"Kafka does not tell its id within {_ASK_SECONDS:g} s") from None
    finally:
        await client.close()
    found: str | None = getattr(response, "cluster_id", None)
    return found
