"""Render stored sessions and rejected events as terminal tables."""

from __future__ import annotations

from rich.table import Table

from postgres_client.connection import read_transaction

_SESSIONS = """
select session_id, status, event_count, rejected_count, started_at, ended_at, counts_by_type, applications
from eye.sessions order by started_at, session_id limit %s
"""

_REJECTED = """
select event_id, session_id, category, name, errors
from eye.rejected_events order by received_at, source_partition, source_offset limit %s
"""


def sessions_table(dsn: str, limit: int = 50) -> Table:
    """Return the sessions as they are in Postgres, the earliest first."""
    table = Table("session", "status", "events", "rejected", "started", "ended", "events by type", title="Sessions")
    _never_wrap(table, 1)
    with read_transaction(dsn) as connection:
        for row in connection.execute(_SESSIONS, (limit,)):
            types = ", ".join(f"{name.partition('/')[2]} {count}" for name, count in row["counts_by_type"].items())
            times = [f"{row[end]:%Y-%m-%d %H:%M:%S}" if row[end] else "" for end in ("started_at", "ended_at")]
            counts = [str(row["event_count"]), str(row["rejected_count"])]
            table.add_row(row["session_id"], row["status"], *counts, *times, types)
    return table


def rejected_table(dsn: str, limit: int = 50) -> Table:
    """Return the rejected events as they are in Postgres, one line per violation."""
    table = Table("event", "type", "violation", title="Rejected events")
    _never_wrap(table, 1)
    with read_transaction(dsn) as connection:
        for row in connection.execute(_REJECTED, (limit,)):
            first = [str(row["event_id"]), f"{row['category'] or '?'} / {row['name'] or '?'}"]
            for error in row["errors"]:
                table.add_row(*first, f"{error['code']} at {error['path'] or '$'}: {error['message']}")
                first = ["", ""]
    return table


def _never_wrap(table: Table, columns: int) -> None:
    """Keep the first columns whole: ids are there to be copied."""
    for number, column in enumerate(table.columns):
        column.no_wrap = number < columns
        column.overflow = "fold"
