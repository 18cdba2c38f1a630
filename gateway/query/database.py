"""The database, for reading alone: a small pool, each statement in a read-only transaction with a time limit."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import make_conninfo
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from gateway.problems import BadRequest, ProblemCode, Unavailable
from postgres_client.connection import Connection, Session, complete_conninfo
from schemas.settings import Settings

log = logging.getLogger(__name__)

WAIT_SECONDS = 1.5
"""Longest time that a read over HTTP waits for a connection."""

RECONNECT_SECONDS = 0.5
"""After this long the pool gives up a connection that can't be made."""

PROBE_SECONDS = 0.5
"""Longest time that the check of Postgres for /readyz may take."""


class Database:
    """Postgres as the reads see it. It may be away, at the start as well as later.

    A read waits for a connection for `wait_seconds`.
    """

    def __init__(self, settings: Settings, wait_seconds: float = WAIT_SECONDS) -> None:
        self._wait_seconds = wait_seconds
        self._limit_ms = int(settings.statement_timeout_seconds * 1000)
        self._pool: AsyncConnectionPool[AsyncConnection[DictRow]] | None = None
        self._connections = settings.postgres_read_connections
        self._dsn = settings.read_dsn

    async def open(self) -> None:
        """Begin to connect. Returns at once, whether Postgres is there or not."""
        if self._dsn is None:
            return
        self._pool = AsyncConnectionPool(
            complete_conninfo(make_conninfo(self._dsn, connect_timeout=max(2, round(self._wait_seconds)))),
            connection_class=Connection,
            # connections are made when they are needed, and tried anew by the next read: no backoff to sit out
            min_size=0,
            max_size=self._connections,
            reconnect_timeout=RECONNECT_SECONDS,
            kwargs={"session": Session(read_only=True, statement_ms=self._limit_ms), "row_factory": dict_row},
            check=AsyncConnectionPool.check_connection,
            timeout=self._wait_seconds,
            open=False,
        )
        await self._pool.open(wait=False)

    async def close(self) -> None:
        """Disconnect."""
        if self._pool is not None:
            await self._pool.close(timeout=2)

    async def rows(self, query: str, parameters: Mapping[str, Any]) -> list[DictRow]:
        """Return what a query finds. Raises Unavailable while Postgres is away or takes too long."""
        if self._pool is None:
            raise _away("EYE_POSTGRES_DSN is not set: name a Postgres, or start one with `eye up`.")
        try:
            async with self._pool.connection() as connection:
                cursor = await connection.execute(query.encode(), parameters)
                return await cursor.fetchall()
        except psycopg.errors.QueryCanceled:
            raise Unavailable(
                f"The read took more than {self._limit_ms / 1000:g} s: ask for less at once.",
                code=ProblemCode.READ_TIMEOUT,
            ) from None
        except psycopg.errors.UndefinedTable as error:
            log.error("a table is missing, run `eye migrate`: %s", error)
            raise _away("The tables are not there yet: make them with `eye migrate`.") from None
        except psycopg.DataError as error:  # nothing but the parameters is data here
            raise BadRequest(f"Postgres can't take a parameter: {error}", code=ProblemCode.BAD_PARAMETER) from None
        except (PoolTimeout, psycopg.OperationalError, psycopg.InterfaceError) as error:
            log.warning("a read failed: %s", error)
            raise _away("Postgres is away: events can be sent, and read when it is back.") from None

    async def fault(self) -> str | None:
        """Ask whether Postgres is there; None when it is, else why it is not."""
        if self._pool is None:
            return "EYE_POSTGRES_DSN is not set"
        try:
            async with self._pool.connection(timeout=PROBE_SECONDS):
                return None
        except (PoolTimeout, psycopg.Error) as error:
            return f"Postgres is away: {error}"


def _away(detail: str) -> Unavailable:
    return Unavailable(detail, code=ProblemCode.POSTGRES_UNAVAILABLE)
