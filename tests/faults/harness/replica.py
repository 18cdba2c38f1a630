"""Postgres with a read replica, as processes of this machine."""

from __future__ import annotations

from pathlib import Path

import psycopg

from eye.local.accounts.unprivileged_user import Account
from eye.local.postgres import LocalPostgres


class Replica(LocalPostgres):
    """A hot standby that follows a primary by streaming replication; begun as a copy of it."""

    def __init__(self, data_dir: Path, primary: LocalPostgres) -> None:
        super().__init__(data_dir)
        self._primary = primary

    def start(self) -> None:
        """Start it, and return when it can be read. Raises StartError."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        password = self.data_dir / "password"
        password.write_text((self._primary.data_dir / "password").read_text())
        password.chmod(0o600)
        super().start()

    def _initialise(self, programs: Path, cluster: Path, account: Account) -> None:
        cluster.mkdir(mode=0o700)
        account.own(cluster)
        source = psycopg.conninfo.make_conninfo(self._primary.dsn, dbname="")
        backup = [str(programs / "pg_basebackup"), "--pgdata", str(cluster), "--write-recovery-conf"]
        self._run([*backup, "--checkpoint=fast", "--wal-method=stream", "--dbname", source], account)


def is_replica(dsn: str) -> bool:
    """Return whether a server is a standby that follows its primary now."""
    with psycopg.connect(dsn) as connection:
        query = "select pg_is_in_recovery() and exists (select from pg_stat_wal_receiver where status = 'streaming')"
        return connection.execute(query).fetchone() == (True,)


def with_user(dsn: str, user: str, password: str) -> str:
    """Return a connection string for another user."""
    return psycopg.conninfo.make_conninfo(dsn, user=user, password=password)
