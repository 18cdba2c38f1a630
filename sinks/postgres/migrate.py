"""Apply the migrations: the numbered SQL files beside this module, in order, each once."""

from __future__ import annotations

import hashlib
from importlib import resources
from typing import NamedTuple

from psycopg import AsyncConnection

_LOCK = "select pg_advisory_xact_lock(hashtext('eye.migrations'))"

_IS_FIRST = "select to_regclass('eye.migrations') is null"

_MAKE_TABLE = """
create schema if not exists eye;
create table eye.migrations (name text primary key, checksum text not null, applied_at timestamptz not null);
"""

_APPLIED = "select name, checksum from eye.migrations"

_RECORD = "insert into eye.migrations (name, checksum, applied_at) values (%s, %s, now())"


class MigrationError(Exception):
    """Migrations that cannot be applied; the message says what to do."""


class _Migration(NamedTuple):
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


async def migrate(dsn: str) -> list[str]:
    """Apply the pending migrations and return their names in order.

    Each migration is applied in a transaction of its own. Several processes may call this at once: they
    take turns. Raises MigrationError when a file was changed after it had been applied, psycopg.Error
    when Postgres is away or a migration fails; those before it stay applied.
    """
    applied = []
    async with await AsyncConnection.connect(dsn, autocommit=True) as connection:
        while (name := await _apply_next(connection)) is not None:
            applied.append(name)
    return applied


async def pending(dsn: str) -> list[str]:
    """Return the names of the migrations that `migrate` would apply; change nothing. Raises as it does."""
    async with await AsyncConnection.connect(dsn, autocommit=True) as connection:
        return [migration.name for migration in await _pending(connection)]


async def _apply_next(connection: AsyncConnection) -> str | None:
    async with connection.transaction():
        await connection.execute(_LOCK)
        await connection.execute("set local lock_timeout = '10s'")  # else all writers would queue behind a migration
        if await _is_first(connection):
            await connection.execute(_MAKE_TABLE)
        for migration in await _pending(connection):
            await connection.execute(migration.sql)
            await connection.execute(_RECORD, (migration.name, migration.checksum))
            return migration.name
    return None


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
