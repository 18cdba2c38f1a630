"""The connection pool of a sink worker."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from psycopg import AsyncConnection
from psycopg.conninfo import make_conninfo
from psycopg_pool import AsyncConnectionPool

from postgres_client.connection import WRITE, Connection, complete_conninfo
from schemas.settings import Settings

Pool = AsyncConnectionPool[AsyncConnection]

_DEFAULTS: dict[str, Any] = {
    "connect_timeout": 5,
    "target_session_attrs": "read-write",  # after a failover: the new primary
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,  # ms; for a server that disappeared silently
}

_SESSION = WRITE
_WAIT_SECONDS = 10.0
_RECONNECT_SECONDS = 5.0


def make_pool(settings: Settings) -> Pool:
    """Make the pool, closed: `async with` opens it without waiting for the database.

    Its connections are in autocommit mode. Timeouts and hosts of the connection string override the defaults here.
    Raises SettingsError without a connection string.
    """
    return AsyncConnectionPool(
        complete_conninfo(make_conninfo(settings.dsn, application_name="eye-sinks"), **_DEFAULTS),
        connection_class=Connection,
        kwargs={"session": _SESSION},
        min_size=1,
        max_size=settings.postgres_write_connections,
        open=False,
        timeout=_WAIT_SECONDS,
        reconnect_timeout=_RECONNECT_SECONDS,  # short: the next request starts again without a long backoff
    )


@asynccontextmanager
async def lend(pool: Pool) -> AsyncIterator[AsyncConnection]:
    """Lend a connection; close it after an exception, since its server may be a lost primary.

    Raises psycopg_pool.PoolTimeout when none is free for 10 s.
    """
    async with pool.connection() as connection:
        try:
            yield connection
        except BaseException:
            await connection.close()
            raise
