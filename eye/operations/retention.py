"""`eye retention`: find expired rows, and delete them as the sinks do by themselves."""

from __future__ import annotations

from datetime import UTC, datetime

from psycopg import AsyncConnection
from psycopg.conninfo import make_conninfo

from postgres_client.connection import Connection
from schemas.settings import Settings
from sinks.retention import Expired, find_expired, policy_of, take_out_expired


async def find(settings: Settings) -> Expired:
    """Return what is due, and change nothing. Raises psycopg.Error."""
    async with await _connect(settings) as connection:
        return await find_expired(connection, policy_of(settings), datetime.now(UTC))


async def take_out(settings: Settings) -> Expired | None:
    """Take out what is due; None when a sink is at it. Raises psycopg.Error."""
    async with await _connect(settings) as connection:
        return await take_out_expired(connection, policy_of(settings), datetime.now(UTC))


async def _connect(settings: Settings) -> AsyncConnection:
    return await Connection.connect(make_conninfo(settings.dsn, connect_timeout=5))
