"""Checks of Postgres: migrations, partitions, clock and disk."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import psycopg
from psycopg import AsyncConnection
from psycopg.conninfo import make_conninfo

from eye.operations.doctor.disk import check_server_disk
from eye.operations.doctor.finding import Finding
from eye.operations.rights import explain
from postgres_client.connection import Connection, Session
from schemas.settings import Settings, SettingsError
from sinks.months import AHEAD_MONTHS
from sinks.postgres.migrate import EncodingError, MigrationError, pending
from sinks.table_stats import COUNTED_ROWS, read_table_stats

LEAST_MONTHS_AHEAD = 1
MOST_CLOCK_SECONDS = 5.0

_CONNECT_SECONDS = 5

_DATA_DIRECTORY = "select setting from pg_settings where name = 'data_directory'"

_ENCODING = "Name another database in EYE_POSTGRES_DSN: `create database ... encoding 'UTF8' template template0`."
_ANSWER = "Set EYE_POSTGRES_DSN to a Postgres that answers."
_PARTITIONS = "The sinks make them: see that a worker runs, and what its log says of partitions."
_DEFAULT = (
    "Running sinks make partitions of their months, while there are fewer than 120. Where the times can't be right, see"
    " which application sends them, and set EYE_MAX_AGE_SECONDS."
)
_CLOCK = "Set the clocks of this machine and of Postgres' by NTP."


async def check_postgres(settings: Settings) -> list[Finding]:
    """Look at Postgres; when it is away, that is the one finding."""
    try:
        left = await pending(make_conninfo(settings.dsn, connect_timeout=_CONNECT_SECONDS))
        async with await _connect(settings.dsn) as connection:
            version = connection.info.server_version
            answers = Finding("Postgres", True, f"answers, version {version // 10000}.{version % 10000}")
            tables = [] if left else await _tables(connection)
            return [answers, _migrations(left), await _clock(connection), *tables, *await _disk(connection)]
    except EncodingError as error:
        return [Finding("Postgres", False, str(error), _ENCODING)]
    except MigrationError as error:
        return [Finding("migrations", False, str(error), "Install the version that was there before.")]
    except (psycopg.Error, SettingsError) as error:
        return [Finding("Postgres", False, explain(error), _ANSWER)]


async def _connect(dsn: str) -> AsyncConnection:
    given = make_conninfo(dsn, connect_timeout=_CONNECT_SECONDS, application_name="eye-doctor")
    return await Connection.connect(given, session=Session(read_only=True, statement_ms=30_000))


def _migrations(left: list[str]) -> Finding:
    seen = f"{len(left)} pending: {', '.join(left)}" if left else "all applied"
    return Finding("migrations", not left, seen, "Apply them: `eye migrate`.")


async def _clock(connection: AsyncConnection) -> Finding:
    asked = time.time()
    row = await (await connection.execute("select clock_timestamp()")).fetchone()
    assert row is not None
    there: datetime = row[0]
    here = datetime.fromtimestamp((asked + time.time()) / 2, UTC)
    apart = (there - here).total_seconds()
    return Finding("clock of Postgres", abs(apart) < MOST_CLOCK_SECONDS, f"{apart:+.1f} s from here", _CLOCK)


async def _tables(connection: AsyncConnection) -> list[Finding]:
    state = await read_table_stats(connection)
    enough = state.months_ahead >= LEAST_MONTHS_AHEAD or state.oldest["events"] is None
    return [
        Finding("partitions ahead", enough, f"{state.months_ahead} months of {AHEAD_MONTHS}", _PARTITIONS),
        Finding(
            "default partition",
            state.default_rows < COUNTED_ROWS,
            f"{_count(state.default_rows)} events whose month has no partition",
            _DEFAULT,
        ),
    ]


def _count(rows: int) -> str:
    return f"{rows:,}" if rows < COUNTED_ROWS else f"{COUNTED_ROWS:,} or more"


async def _disk(connection: AsyncConnection) -> list[Finding]:
    """Look at the disk, where it is this machine's and the role may know the directory."""
    row = await (await connection.execute(_DATA_DIRECTORY)).fetchone()
    return list(check_server_disk("disk of Postgres", connection.info.host, row[0])) if row else []
