"""Amendments to aiokafka 0.14: a broken connection is an error that the client knows, and a cluster can be refused.

uvloop raises RuntimeError ("the handler is closed") on a write to a transport that was reset a moment ago; asyncio's
own loop does not. aiokafka 0.14.0 takes that for neither OSError nor KafkaError, so that the background task that
wrote ends without a word: the metadata synchronizer, a sender's request, the coordinator's routines
(aiokafka#1038). docs/upstream.md describes it for its maintainers.

A connection of a client that has a guard asks for the cluster's id before it is used, see `cluster_guard`.
"""

from __future__ import annotations

from typing import Any

from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.metadata import MetadataRequest

VERSIONS = "0.14."
"""The versions of aiokafka that need the amendments; a later one is to be looked at before it is installed."""

original_send = AIOKafkaConnection.send
original_send_token = AIOKafkaConnection._send_sasl_token
original_connected = AIOKafkaConnection.connected
original_connect = AIOKafkaConnection.connect


def amend_connections() -> None:
    """Amend the connections of every Kafka client in this process; to be called at its start, any number of times.

    A write to a closing transport raises KafkaConnectionError and closes the connection, and such a connection
    is not `connected`: the client opens another one. One to a cluster that the client's guard refuses is none.
    """
    AIOKafkaConnection.send = _send
    AIOKafkaConnection._send_sasl_token = _send_token
    AIOKafkaConnection.connected = _connected
    AIOKafkaConnection.connect = _connect


async def _connect(self: Any) -> Any:
    """Connect, and look who answers. Raises as the original does, and ForeignCluster."""
    connected = await original_connect(self)
    guard = getattr(self._client_id, "guard", None)
    if guard is not None:
        try:
            guard.check(getattr(await self.send(MetadataRequest([])), "cluster_id", None))
        except BaseException:
            self.close()
            raise
    return connected


def _send(self: Any, request: Any, expect_response: bool = True) -> Any:
    try:
        return original_send(self, request, expect_response)
    except RuntimeError as error:
        raise _closed(self, error) from error


def _send_token(self: Any, payload: bytes, expect_response: bool = True) -> Any:
    try:
        return original_send_token(self, payload, expect_response)
    except RuntimeError as error:
        raise _closed(self, error) from error


def _connected(self: Any) -> bool:
    if not original_connected(self):
        return False
    if not self._writer.transport.is_closing():
        return True
    if not self._loop.is_closed():
        # whoever waits for an answer on it is told now, and not after the time limit of the request
        self.close(reason=CloseReason.CONNECTION_BROKEN)
    return False


def _closed(connection: Any, error: RuntimeError) -> Exception:
    """Close a connection whose transport is closing, and return the error to raise; other errors stay as they are."""
    writer = connection._writer
    if writer is None or not writer.transport.is_closing():
        return error
    connection.close(reason=CloseReason.CONNECTION_BROKEN)
    broken: Exception = KafkaConnectionError(f"Connection at {connection.host}:{connection.port} broken: {error}")
    return broken
