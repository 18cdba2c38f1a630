"""Migrations: the numbered SQL files beside this module, applied in order, each once."""

from __future__ import annotations

import hashlib
from importlib import resources
from typing import LiteralString, NamedTuple, cast

import psycopg

_ALONE = "select pg_advisory_xact_lock(hashtext('eye.migrations'))"

_IS_FIRST = "select to_regclass('eye.migrations') is null"

_MAKE_TABLE = """
create schema if not exists eye;
create table eye.migrations (name text primary key, checksum text not null, applied_at timestamptz not null);
"""

_APPLIED = "select name, checksum from eye.migrations"

_RECORD = "insert into eye.migrations (name, checksum, applied_at) values (%s, %s, now())"


class MigrationError(Exception):
    """Migrations that can't be applied; the message says what to do."""


class _Migration(NamedTuple):
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrate(dsn: str) -> list[str]:
    """Apply what is pending and return the names of what was applied now, in order.

    Each migration is applied in a transaction of its own. Several processes may run this at once: they
    take turns. Raises MigrationError when a file was changed after it had been applied, psycopg.Error
    when Postgres is away or a migration fails; those before it stay applied.
    """
    applied = []
    with psycopg.connect(dsn, autocommit=True) as connection:
        while (name := _apply_next(connection)) is not None:
            applied.append(name)
    return applied


def pending(dsn: str) -> list[str]:
    """Return the names of the migrations that `migrate` would apply, and change nothing. Raises as it does."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        return [migration.name for migration in _pending(connection)]


def _apply_next(connection: psycopg.Connection) -> str | None:
    with connection.transaction():
        connection.execute(_ALONE)
        connection.execute("set local lock_timeout = '10s'")  # else all writers would queue behind a migration
        if _is_first(connection):
            connection.execute(_MAKE_TABLE)
        for migration in _pending(connection):
            connection.execute(cast(LiteralString, migration.sql))
            connection.execute(_RECORD, (migration.name, migration.checksum))
            return migration.name
    return None


def _pending(connection: psycopg.Connection) -> list[_Migration]:
    applied = {} if _is_first(connection) else dict(connection.execute(_APPLIED).fetchall())
    migrations = _migrations()
    for migration in migrations:
        if applied.get(migration.name, migration.checksum) != migration.checksum:
            raise MigrationError(
                f"Migration {migration.name} was changed after it had been applied: restore it, and add a new one."
            )
    return [migration for migration in migrations if migration.name not in applied]


def _is_first(connection: psycopg.Connection) -> bool:
    return connection.execute(_IS_FIRST).fetchone() == (True,)


def _migrations() -> list[_Migration]:
    files = (resources.files("sinks") / "migrations").iterdir()
    return [_Migration(f.name, f.read_text()) for f in sorted(files, key=lambda f: f.name) if f.name.endswith(".sql")]
