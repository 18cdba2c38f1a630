"""PostgreSQL on this machine: the programs that a wheel brings, run on a data directory of ours."""

from __future__ import annotations

import secrets
import shutil
import signal
import time
from functools import cached_property
from pathlib import Path

import psycopg

from eye.local.accounts.server_place import Place, find_place
from eye.local.accounts.unprivileged_user import Account
from eye.local.addresses import DatabaseAddress
from eye.local.environment import drop_foreign_variables, server_environment
from eye.local.errors import StartError
from eye.local.process import Process
from eye.local.remembered_settings import remembered, remembered_port
from eye.local.tools import find_postgres

DATABASE = "eye"
"""The name of the database, and of the one role, which owns it all."""

INITIALISE = ("--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C")
"""Options of initdb: text sorts by code point, on every machine alike."""

SETTINGS = {
    "timezone": "UTC",
    "log_timezone": "UTC",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "wal_compression": "on",
    "max_wal_size": "2GB",
    "track_commit_timestamp": "on",  # tells a trace when a row was stored
}
"""Settings that differ from PostgreSQL's own defaults. `fsync` does not."""

_LOCAL = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    # in the data directory: /dev/shm would keep 1 MB of every killed server, and has 64 in a container
    "dynamic_shared_memory_type": "mmap",
}

_DEADLINE = 60.0


class LocalPostgres(DatabaseAddress, Process):
    """A PostgreSQL server that keeps its database `eye` in `data_dir`.

    `port` is taken when it is free; without it, or when it is not, the port of the last start, else any.
    A restart on the same data finds all that was committed, however the last run ended. Run by root, the
    server belongs to another user: the owner of the data, at first `postgres` or `nobody`.
    """

    def __init__(self, data_dir: Path, port: int | None = None) -> None:
        # SIGINT: does not wait for clients to leave, as SIGTERM would
        super().__init__("PostgreSQL", data_dir, signal.SIGINT)
        self._wanted_port = port

    @cached_property
    def place(self) -> Place:
        """Location of its programs and data, and the user that runs it. Raises LocalError, e.g. without the wheel."""
        self._prepare()
        return find_place(find_postgres(), self.data_dir)

    def start(self) -> None:
        """Start the server, and return when the database `eye` can be used. Does nothing when it runs.

        Raises MissingTool without the wheel, and StartError with the end of the log.
        """
        if self.running:
            return
        self._prepare()
        account, programs, cluster = self.place.account, self.place.programs, self.place.cluster
        password = remembered(self.data_dir / "password", lambda: secrets.token_urlsafe(16))
        if not cluster.exists():
            self._initialise(programs, cluster, account)
        self._wanted_port = port = remembered_port(self.data_dir / "port", self._wanted_port)
        drop_foreign_variables()
        server = f"postgresql://{DATABASE}:{password}@127.0.0.1:{port}"
        settings = SETTINGS | _LOCAL | {"port": str(port)}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        _forget_the_dead(cluster / "postmaster.pid")
        command = [str(programs / "postgres"), "-D", str(cluster), *options]
        self._run_server(command, account, f"{server}/postgres")
        ensure_database(f"{server}/postgres")
        self._dsn = f"{server}/{DATABASE}"

    def _environment(self) -> dict[str, str]:
        return server_environment() | {"LC_ALL": "C"}

    def _initialise(self, programs: Path, cluster: Path, account: Account) -> None:
        # under another name until it is whole, so that a cluster that is there can be relied on
        unfinished = cluster.with_name("cluster.unfinished")
        if unfinished.exists():
            shutil.rmtree(unfinished)
        unfinished.mkdir(mode=0o700)
        password_file = self.data_dir / "password"
        if self.place.cluster.parent != self.data_dir:
            password_file = Path(shutil.copy(password_file, cluster.parent))
        for path in (unfinished, password_file):
            account.own(path)
        options = ["-D", str(unfinished), "-U", DATABASE, "--auth=scram-sha-256", f"--pwfile={password_file}"]
        self._run([str(programs / "initdb"), *options, *INITIALISE], account)
        unfinished.rename(cluster)

    def _run_server(self, command: list[str], account: Account, dsn: str) -> None:
        """Launch the server and wait for it; again, while children of a killed one still hold its memory."""
        end = time.monotonic() + _DEADLINE
        while True:
            self._launch(command, account)
            try:
                return self._wait_ready(lambda: accepts_connections(dsn), _DEADLINE)
            except StartError as error:
                if "is still in use" not in str(error) or time.monotonic() > end:
                    raise


def accepts_connections(dsn: str) -> bool:
    """Return whether the server lets us in."""
    try:
        psycopg.connect(dsn, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def ensure_database(dsn: str) -> None:
    """Create the database `eye` unless it is there; `dsn` leads to another one of the same server."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone():
            connection.execute(f"CREATE DATABASE {DATABASE}")


def _forget_the_dead(pid_file: Path) -> None:
    """Remove a killed server's pid file when it is empty, or its number now belongs to some other program.

    PostgreSQL itself removes one whose number nobody has, and takes any process of its own user for a
    server on this data, which after a reboot it rarely is.
    """
    if not pid_file.exists():
        return
    pid = pid_file.read_text().partition("\n")[0]
    name = Path(f"/proc/{pid}/comm")
    if not pid or (name.exists() and name.read_text().strip() != "postgres"):
        pid_file.unlink()
