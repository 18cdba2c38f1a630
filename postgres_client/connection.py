"""Connections to Postgres that depend on no default: of a database, a role, a service file or a PG* variable.

Every statement runs in a transaction that begins with all settings The Eye relies on, set for that transaction. So
nothing is left on a server connection that PgBouncer shares in transaction mode. The four settings of `_TRACKED` are
set once a connection, since the client decodes by them; PgBouncer follows each client's values of these.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Self

import psycopg
from psycopg import AsyncConnection, AsyncCursor, AsyncTransaction, IsolationLevel, sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus
from psycopg.rows import AsyncRowFactory, Row, dict_row

_TRACKED = """
set client_encoding = 'UTF8';
set datestyle = 'ISO, MDY';
set timezone = 'UTC';
set standard_conforming_strings = on;
"""

_SETTINGS = {
    "search_path": "pg_catalog, pg_temp",
    "intervalstyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "row_security": "off",  # rows that a policy would hide are an error
    "synchronous_commit": "on",
    "client_min_messages": "warning",
}
"""Settings of every transaction, besides those of its session."""


@dataclass(frozen=True, slots=True)
class Session:
    """The access and the time limits of a connection's transactions, in milliseconds; 0: no limit."""

    read_only: bool = False
    isolation: IsolationLevel = IsolationLevel.READ_COMMITTED
    lock_ms: int = 10_000
    statement_ms: int = 60_000
    idle_ms: int = 60_000

    def settings(self) -> Mapping[str, str]:
        """Return the settings of each transaction by name."""
        return _SETTINGS | {
            "lock_timeout": str(self.lock_ms),
            "statement_timeout": str(self.statement_ms),
            "idle_in_transaction_session_timeout": str(self.idle_ms),
        }

    def statement(self, server_version: int) -> sql.Composed:
        """Return the statement that sets all of them for the current transaction."""
        settings = dict(self.settings())
        if server_version >= 170_000:
            settings["transaction_timeout"] = "0"
        calls = [
            sql.SQL("set_config({}, {}, true)").format(sql.Literal(n), sql.Literal(v)) for n, v in settings.items()
        ]
        return sql.SQL("select {}").format(sql.SQL(", ").join(calls))


READ = Session(read_only=True)
WRITE = Session()


class _Cursor(AsyncCursor[Row]):
    """A cursor that executes a statement in a transaction of its own unless there is one."""

    async def execute(self, query: Any, params: Any = None, **options: Any) -> Self:
        if not query or self.connection.info.transaction_status != TransactionStatus.IDLE:
            return await super().execute(query, params, **options)
        async with self.connection.transaction():
            return await super().execute(query, params, **options)


class Connection(AsyncConnection[Row]):
    """A connection in autocommit mode whose every statement runs with the settings of its session.

    A statement outside of `transaction()` is a transaction of its own. COPY needs a transaction of the caller's.
    """

    _begin: sql.Composed

    @classmethod
    async def connect(  # type: ignore[override]
        cls,
        conninfo: str = "",
        *,
        session: Session = WRITE,
        row_factory: AsyncRowFactory[Row] | None = None,
        **parameters: Any,
    ) -> Self:
        """Connect as a connection string says. Raises psycopg.OperationalError."""
        given = complete_conninfo(make_conninfo(conninfo, **parameters))
        # prepared statements belong to a server connection, which PgBouncer may change
        connection = await super().connect(given, autocommit=True, prepare_threshold=None, row_factory=row_factory)
        try:
            connection.cursor_factory = _Cursor
            connection._begin = session.statement(connection.info.server_version)
            await connection.set_isolation_level(session.isolation)
            await connection.set_read_only(session.read_only)
            await connection.set_deferrable(False)
            await AsyncCursor(connection).execute(_TRACKED)
        except BaseException:
            await connection.close()
            raise
        return connection

    @asynccontextmanager
    async def transaction(
        self, savepoint_name: str | None = None, force_rollback: bool = False
    ) -> AsyncIterator[AsyncTransaction]:
        """Enclose a transaction, or a savepoint within one."""
        outermost = self.info.transaction_status == TransactionStatus.IDLE
        async with super().transaction(savepoint_name, force_rollback) as transaction:
            if outermost:
                await AsyncCursor(self).execute(self._begin)
            yield transaction


def complete_conninfo(dsn: str, **defaults: Any) -> str:
    """Return a connection string that leaves neither encoding nor options to the environment or a service file.

    Values of `dsn` take precedence over `defaults`.
    """
    return make_conninfo(**{"options": ""} | defaults | conninfo_to_dict(dsn) | {"client_encoding": "UTF8"})


@contextmanager
def read_transaction(dsn: str, **defaults: Any) -> Iterator[psycopg.Connection[dict[str, Any]]]:
    """Connect without an event loop, for one transaction that reads; rows are dicts. Raises psycopg.Error."""
    given = complete_conninfo(dsn, **defaults)
    with psycopg.connect(given, autocommit=True, row_factory=dict_row, prepare_threshold=None) as connection:
        connection.execute(_TRACKED)
        connection.read_only, connection.isolation_level = True, READ.isolation
        with connection.transaction():
            connection.execute(READ.statement(connection.info.server_version))
            yield connection
