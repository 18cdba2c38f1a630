"""Table eye.sessions: columns, rows, SQL, writer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec
from psycopg import AsyncConnection

from schemas.record import RawRecord
from schemas.session import decode_session
from sinks.postgres import copy
from sinks.tables.row import Rows, first_of_each, read_rows
from sinks.tables.writer import CopyingWriter, Writer


class SessionFields(msgspec.Struct, gc=False):
    """The columns of the table, in the order of COPY; each is encoded for binary COPY."""

    session_id: bytes
    applications: bytes
    revision: bytes
    status: bytes
    started_at: bytes
    ended_at: bytes
    event_count: bytes
    rejected_count: bytes
    counts_by_type: bytes
    first_event_id: bytes
    last_event_id: bytes
    updated_at: bytes
    clock_offset_ms: bytes


SESSION_COLUMNS = ", ".join(SessionFields.__struct_fields__)


class SessionRow(msgspec.Struct, frozen=True, gc=False):
    """A row of eye.sessions."""

    session_id: str
    revision: int
    copied: bytes
    record: RawRecord


def session_rows(records: Iterable[RawRecord]) -> Rows[SessionRow]:
    """Return the rows of `sessions` records, the newest revision of each; tombstones are skipped."""
    found = read_rows((record for record in records if record.value is not None), _session_row)
    newest_first = sorted(found.rows, key=lambda row: row.revision, reverse=True)
    return Rows(first_of_each(newest_first, lambda row: row.session_id), found.refused)


def _session_row(record: RawRecord) -> SessionRow:
    session = decode_session(record.value or b"")
    fields = SessionFields(
        session_id=copy.text(session.session_id),
        applications=copy.text_array(session.applications),
        revision=copy.int8(session.revision),
        status=copy.text(session.status),
        started_at=copy.timestamptz(session.started_at),
        ended_at=copy.timestamptz(session.ended_at),
        event_count=copy.int8(session.event_count),
        rejected_count=copy.int8(session.rejected_count),
        counts_by_type=copy.jsonb(msgspec.json.encode(session.counts_by_type)),
        first_event_id=copy.text(session.first_event_id),
        last_event_id=copy.text(session.last_event_id),
        updated_at=copy.timestamptz(session.updated_at),
        clock_offset_ms=copy.int8(session.clock_offset_ms),
    )
    copied = copy.row(*msgspec.structs.astuple(fields))
    return SessionRow(session.session_id, session.revision, copied, record)


_CREATE_NEW = """
create temporary table if not exists new_sessions (like eye.sessions including defaults) on commit delete rows;
delete from pg_temp.new_sessions;
"""

_COPY_NEW = f"copy pg_temp.new_sessions ({SESSION_COLUMNS}) from stdin (format binary)"

_UPDATES = ", ".join(
    f"{column} = excluded.{column}" for column in SessionFields.__struct_fields__ if column != "session_id"
)

_UPSERT_NEW = f"""
insert into eye.sessions ({SESSION_COLUMNS})
select {SESSION_COLUMNS} from pg_temp.new_sessions
on conflict (session_id) do update set {_UPDATES}
where excluded.revision > sessions.revision
"""


class SessionWriter(CopyingWriter, Writer[SessionRow]):
    """Store summaries of sessions that are new, or stored with an older revision."""

    async def write(self, connection: AsyncConnection, rows: Sequence[SessionRow]) -> int:
        """Store the rows; return how many were newer. Raises psycopg.Error."""
        sorted_rows = (row.copied for row in sorted(rows, key=lambda row: row.session_id))
        return await self._copy_and_insert(connection, _CREATE_NEW, _COPY_NEW, sorted_rows, _UPSERT_NEW)
