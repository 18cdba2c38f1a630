"""The amendments to aiokafka: whenever a connection is reset, its client learns it by an error that it knows."""

from __future__ import annotations

import asyncio
import socket
import struct
from importlib.metadata import version
from typing import Any

import pytest
import uvloop
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaError
from aiokafka.protocol.metadata import MetadataRequest

from kafka_client import amendments
from kafka_client.amendments import VERSIONS, amend_connections

TURNS = range(12)
"""Turns of the loop between the reset and the write; the window is two of them."""


@pytest.fixture
def amended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Amend the connections for one test."""
    keep_originals(monkeypatch)
    amend_connections()


@pytest.fixture
def original(monkeypatch: pytest.MonkeyPatch) -> None:
    """Return the connections as aiokafka has them."""
    keep_originals(monkeypatch)


def keep_originals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AIOKafkaConnection, "send", amendments.original_send)
    monkeypatch.setattr(AIOKafkaConnection, "_send_sasl_token", amendments.original_send_token)
    monkeypatch.setattr(AIOKafkaConnection, "connected", amendments.original_connected)


class Connection(AIOKafkaConnection):  # type: ignore[misc]
    """A connection to a server that knows no Kafka."""

    async def _do_version_lookup(self) -> None:
        self._versions = {3: (0, 5)}


class Server:
    """Accepts one connection, and resets it."""

    def __init__(self) -> None:
        self.accepted: asyncio.Future[asyncio.StreamWriter] = asyncio.get_running_loop().create_future()

    async def start(self) -> int:
        async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.accepted.set_result(writer)

        self._server = await asyncio.start_server(accept, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def reset(self) -> None:
        writer = await self.accepted
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    def close(self) -> None:
        self._server.close()


async def write_after_reset(turns: int, *, sasl: bool = False) -> tuple[BaseException | None, bool]:
    """Write so many turns after the transport began to close; returns the error, and whether it was `connected`."""
    server = Server()
    connection: Any = Connection("127.0.0.1", await server.start(), request_timeout_ms=200)
    await connection.connect()
    transport = connection._writer.transport
    await server.reset()
    async with asyncio.timeout(60):
        while not transport.is_closing():  # noqa: ASYNC110 - a transport tells nobody
            await asyncio.sleep(0)
    for _ in range(turns):
        await asyncio.sleep(0)
    error: BaseException | None = None
    try:
        await (connection._send_sasl_token(b"x") if sasl else connection.send(MetadataRequest([])))
    except Exception as raised:
        error = raised
    connected = bool(connection.connected())
    if connection._reader is not None:
        connection.close()
    server.close()
    return error, connected


def on_uvloop(turns: int, *, sasl: bool = False) -> tuple[BaseException | None, bool]:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(write_after_reset(turns, sasl=sasl))


@pytest.mark.parametrize("turns", TURNS)
@pytest.mark.parametrize("sasl", [False, True], ids=["request", "sasl"])
def test_a_write_at_any_turn_after_a_reset_is_a_kafka_error(amended: None, turns: int, sasl: bool) -> None:
    error, connected = on_uvloop(turns, sasl=sasl)

    assert isinstance(error, KafkaError)
    assert not connected


def test_aiokafka_still_needs_the_amendments(original: None) -> None:
    assert version("aiokafka").startswith(VERSIONS)
    assert any(isinstance(on_uvloop(turns)[0], RuntimeError) for turns in TURNS)
