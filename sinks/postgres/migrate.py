"""Apply the migrations: the numbered SQL files beside this module, in order, each once."""

from __future__ import annotations

import hashlib
from importlib import resources
from typing import NamedTuple

from psycopg import AsyncConnection, errors, sql

from postgres_client.connection import Connection, Session

_LOCK = "select pg_advisory_xact_lock(hashtext('eye.migrations'))"

_IS_FIRST = "select to_regclass('eye.migrations') is null"

_HAS_SCHEMA = "select to_regnamespace('eye') is not null"

_MAKE_SCHEMA = "create schema eye"

_MAKE_TABLE = """
create table eye.migrations (name text primary key, checksum text not null, applied_at timestamptz not null);
"""

_APPLIED = "select name, checksum from eye.migrations"

_RECORD = "insert into eye.migrations (name, checksum, applied_at) values (%s, %s, now())"


class MigrationError(Exception):
    """Migrations that cannot be applied; the message says what to do."""


class EncodingError(MigrationError):
    """A database in another encoding than UTF8, which can't hold what is sent."""


_SESSION = Session(statement_ms=0)
"""A migration may take as long as it needs; it waits for a lock no longer than others."""

_LOOK = Session(read_only=True, statement_ms=0)

_ENCODING = """
select datname, pg_encoding_to_char(encoding) from pg_database where datname = current_database()
"""


class _Migration(NamedTuple):
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


async def migrate(dsn: str) -> list[str]:
    """Apply the pending migrations and return their names in order.

    Each migration is applied in a transaction of its own, whole or not at all. Several processes may call this at
    once: they take turns. Raises EncodingError for a database that is not in UTF8, MigrationError when a file was
    changed after it had been applied or the role lacks a right, psycopg.Error when Postgres is away or a migration
    fails; those before it stay applied.
    """
    applied = []
    async with await Connection.connect(dsn, session=_SESSION) as connection:
        await check_encoding(connection)
        while (name := await _apply_next(connection)) is not None:
            applied.append(name)
    return applied


async def pending(dsn: str) -> list[str]:
    """Return the names of the migrations that `migrate` would apply; change nothing. Raises as it does."""
    async with await Connection.connect(dsn, session=_LOOK) as connection:
        await check_encoding(connection)
        return [migration.name for migration in await _pending(connection)]


async def check_encoding(connection: AsyncConnection) -> None:
    """Raise EncodingError unless the database is in UTF8."""
    row = await (await connection.execute(_ENCODING)).fetchone()
    if row is not None and row[1] != "UTF8":
        raise EncodingError(f"Database {row[0]}: encoding is {row[1]}; create it with ENCODING 'UTF8'.")


async def _apply_next(connection: AsyncConnection) -> str | None:
    async with connection.transaction():
        await connection.execute(_LOCK)
        if await _is_first(connection):
            await _make_schema(connection)
        for migration in await _pending(connection):
            try:
                await connection.execute(migration.sql)
            except errors.InsufficientPrivilege as error:
                raise MigrationError(
                    f"Role {connection.info.user} can't apply {migration.name}: {error.diag.message_primary}."
                    " Run `eye migrate` as the role that owns the tables."
                ) from error
            await connection.execute(_RECORD, (migration.name, migration.checksum))
            return migration.name
    return None


async def _make_schema(connection: AsyncConnection) -> None:
    """Make the schema and the table of migrations. Raises MigrationError with the grant that is missing."""
    database, role = sql.Identifier(connection.info.dbname), sql.Identifier(connection.info.user)
    grant = sql.SQL("grant create on database {} to {}").format(database, role)
    try:
        if await (await connection.execute(_HAS_SCHEMA)).fetchone() != (True,):
            await connection.execute(_MAKE_SCHEMA)
        grant = sql.SQL("grant usage, create on schema eye to {}").format(role)
        await connection.execute(_MAKE_TABLE)
    except errors.InsufficientPrivilege as error:
        raise MigrationError(
            f"Role {connection.info.user} lacks the right CREATE: {error.diag.message_primary}."
            f" As the owner or a superuser, run: {grant.as_string()};"
        ) from error


async def _pending(connection: AsyncConnection) -> list[_Migration]:
    applied: dict[str, str] = {}
    if not await _is_first(connection):
        applied = dict(await (await connection.execute(_APPLIED)).fetchall())
    migrations = _migrations()
    for migration in migrations:
        if applied.get(migration.name, migration.checksum) != migration.checksum:
            raise MigrationError(
                f"Migration {migration.name} was changed after it had been applied: restore it, and add a new one."
            )
    return [migration for migration in migrations if migration.name not in applied]


async def _is_first(connection: AsyncConnection) -> bool:
    return await (await connection.execute(_IS_FIRST)).fetchone() == (True,)


def _migrations() -> list[_Migration]:
    files = (resources.files("sinks.postgres") / "migrations").iterdir()
    return [_Migration(f.name, f.read_text()) for f in sorted(files, key=lambda f: f.name) if f.name.endswith(".sql")]
