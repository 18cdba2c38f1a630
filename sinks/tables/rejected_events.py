"""Table eye.rejected_events: columns, rows, SQL, writer."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec
from psycopg import AsyncConnection

from schemas.event import MAX_TEXT
from schemas.json_reader import replace_unstorable
from schemas.record import CATEGORY, NAME, RawRecord, UnknownTypes, open_envelope, said_in
from schemas.verdict import Code, Rejected, Violation, decode_rejected
from sinks.postgres import copy
from sinks.tables.row import Refused, Republication, Rows, Source, event_key, id_fields, origin, verdict_rows
from sinks.tables.writer import CopyingWriter, Writer

_MAX_REASON = 1024

_UNKNOWN_EVENT_TYPES: dict[bool | None, UnknownTypes | None] = {True: "accept", False: "reject", None: None}


class RejectedFields(msgspec.Struct, gc=False):
    """The columns that the sink fills, in the order of COPY; each is encoded for binary COPY."""

    event_id: bytes
    application: bytes
    session_id: bytes
    category: bytes
    name: bytes
    timestamp: bytes
    received_at: bytes
    codes: bytes
    errors: bytes
    raw: bytes
    raw_encoding: bytes
    raw_truncated: bytes
    source_partition: bytes
    source_offset: bytes
    client_event_id: bytes
    sent_at: bytes
    unknown_event_types: bytes
    clock_offset_ms: bytes


REJECTED_COLUMNS = ", ".join(RejectedFields.__struct_fields__)


class RejectedRow(msgspec.Struct, frozen=True, gc=False):
    """A row of eye.rejected_events, and the fields of its key."""

    event_id: bytes
    application: bytes
    copied: bytes
    record: RawRecord
    source: Source
    republished_by: Republication | None


def rejected_rows(records: Iterable[RawRecord]) -> Rows[RejectedRow]:
    """Return the rows of `events.rejected` records; of equal events the first counts."""
    return verdict_rows(records, lambda record: _rejected_row(decode_rejected(record.value or b""), record))


def refused_row(refused: Refused) -> RejectedRow:
    """Return the row of a refused record: code `bad_value`, the reason, and the value as it came."""
    record, envelope, headers = refused.record, open_envelope(refused.record), dict(refused.record.headers)
    raw, encoding = _as_text(record.value or b"")
    verdict = Rejected(
        event_id=envelope.event_id,
        application=envelope.application,
        session_id=_storable(record.key),
        category=_storable(headers.get(CATEGORY)),
        name=_storable(headers.get(NAME)),
        timestamp=None,
        received_at=envelope.received_at,
        errors=[Violation(Code.BAD_VALUE, "$", replace_unstorable(refused.reason)[:_MAX_REASON])],
        raw=raw,
        raw_encoding=encoding,
    )
    return _rejected_row(verdict, record)


def _rejected_row(event: Rejected, record: RawRecord) -> RejectedRow:
    event_id, client_event_id = id_fields(event.application, event.event_id)
    source, republished_by = origin(record.headers)
    said = said_in(record.headers)
    fields = RejectedFields(
        event_id=event_id,
        application=copy.text(event.application),
        session_id=copy.text(event.session_id),
        category=copy.text(event.category),
        name=copy.text(event.name),
        timestamp=copy.text(event.timestamp),
        received_at=copy.timestamptz(event.received_at),
        codes=copy.text_array(event.codes),
        errors=copy.jsonb(msgspec.json.encode(event.errors)),
        raw=copy.text(event.raw),
        raw_encoding=copy.text(event.raw_encoding),
        raw_truncated=copy.boolean(event.raw_truncated),
        source_partition=source[0],
        source_offset=source[1],
        client_event_id=client_event_id,
        sent_at=copy.timestamptz(said.sent_at),
        unknown_event_types=copy.text(_UNKNOWN_EVENT_TYPES[said.accept_unknown]),
        clock_offset_ms=copy.NULL if event.clock_offset_ms is msgspec.UNSET else copy.int8(event.clock_offset_ms),
    )
    copied = copy.row(*msgspec.structs.astuple(fields))
    return RejectedRow(event_id, fields.application, copied, record, source, republished_by)


def _storable(text: bytes | None) -> str | None:
    return None if text is None else replace_unstorable(text.decode("utf-8", "replace"))[:MAX_TEXT]


def _as_text(value: bytes) -> tuple[str, Literal["utf-8", "base64"]]:
    """Return a value as text, or as base64 if Postgres cannot store it as text."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = "\0"
    return (base64.b64encode(value).decode(), "base64") if "\0" in text else (text, "utf-8")


_CREATE_NEW = """
create temporary table if not exists new_rejected (like eye.rejected_events including defaults) on commit delete rows;
delete from pg_temp.new_rejected;
"""

_COPY_NEW = f"copy pg_temp.new_rejected ({REJECTED_COLUMNS}) from stdin (format binary)"

_INSERT_NEW = f"""
insert into eye.rejected_events ({REJECTED_COLUMNS}, redriven_by)
select {REJECTED_COLUMNS}, replaced.run
from pg_temp.new_rejected
left join eye.replaced_verdicts replaced using (event_id, application, source_partition, source_offset)
where replaced.run is null or replaced.redriven
order by event_id, application
on conflict do nothing
"""


class RejectedWriter(CopyingWriter, Writer[RejectedRow]):
    """Store rejected events whose key is free."""

    async def write(self, connection: AsyncConnection, rows: Sequence[RejectedRow]) -> int:
        """Store the rows; return how many are new. Raises psycopg.Error."""
        sorted_rows = (row.copied for row in sorted(rows, key=event_key))
        return await self._copy_and_insert(connection, _CREATE_NEW, _COPY_NEW, sorted_rows, _INSERT_NEW)
