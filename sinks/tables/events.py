"""Table eye.events, with its keys in eye.event_keys: columns, rows, SQL, writer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

import msgspec
from msgspec import UNSET
from psycopg import AsyncConnection, AsyncCursor

from schemas.record import RawRecord
from schemas.verdict import decode_accepted
from sinks.postgres import arrays, copy
from sinks.postgres.copy import NULL
from sinks.tables.row import Republication, Rows, Source, id_fields, origin, verdict_rows
from sinks.tables.writer import CopyingWriter, Writer


class EventFields(msgspec.Struct, gc=False):
    """The columns that the sink fills, in the order of COPY; each is encoded for binary COPY."""

    event_id: bytes
    application: bytes
    session_id: bytes
    category: bytes
    name: bytes
    occurred_at: bytes
    received_at: bytes
    schema_version: bytes
    data: bytes
    source_partition: bytes
    source_offset: bytes
    client_event_id: bytes
    user_id: bytes
    context: bytes
    timestamp_sent: bytes
    clock_offset_ms: bytes


EVENT_COLUMNS = ", ".join(EventFields.__struct_fields__)


class EventRow(msgspec.Struct, frozen=True, gc=False):
    """A row of eye.events, and the fields of its row in eye.event_keys."""

    event_id: bytes
    application: bytes
    occurred_at: bytes
    copied: bytes
    record: RawRecord
    source: Source
    republished_by: Republication | None


def event_rows(records: Iterable[RawRecord]) -> Rows[EventRow]:
    """Return the rows of `events.validated` records; of equal events the first counts."""
    return verdict_rows(records, _event_row)


# applications and event types are few, and occur in every row
_label = lru_cache(maxsize=4096)(copy.text)


def _event_row(record: RawRecord) -> EventRow:
    event = decode_accepted(record.value or b"")
    event_id, client_event_id = id_fields(event.application, event.event_id)
    source, republished_by = origin(record.headers)
    fields = EventFields(
        event_id=event_id,
        application=_label(event.application),
        session_id=copy.text(event.session_id),
        category=_label(event.category),
        name=_label(event.name),
        occurred_at=copy.timestamptz(event.occurred_at),
        received_at=copy.timestamptz(event.received_at),
        schema_version=copy.int4(event.schema_version),
        data=copy.jsonb(event.data),
        source_partition=source[0],
        source_offset=source[1],
        client_event_id=client_event_id,
        user_id=NULL if event.user_id is UNSET else copy.text(event.user_id),
        context=NULL if event.context is UNSET else copy.jsonb(event.context),
        timestamp_sent=NULL if event.timestamp_sent is UNSET else copy.timestamptz(event.timestamp_sent),
        clock_offset_ms=NULL if event.clock_offset_ms is UNSET else copy.int8(event.clock_offset_ms),
    )
    copied = copy.row(*msgspec.structs.astuple(fields))
    return EventRow(event_id, fields.application, fields.occurred_at, copied, record, source, republished_by)


_CLAIM_KEYS = """
insert into eye.event_keys (event_id, application, occurred_at)
select event_id, application, occurred_at
from unnest(%b, %b, %b, %b, %b) as new (event_id, application, occurred_at, source_partition, source_offset)
where not exists (
    select from eye.replaced_verdicts replaced
    where replaced.event_id = new.event_id and replaced.application = new.application
        and replaced.source_partition = new.source_partition and replaced.source_offset = new.source_offset
)
order by event_id, application
on conflict do nothing
returning event_id, application
"""

COPY_EVENTS = f"copy eye.events ({EVENT_COLUMNS}) from stdin (format binary)"


class EventWriter(CopyingWriter, Writer[EventRow]):
    """Claim the keys of events, then store the events whose key was free."""

    async def write(self, connection: AsyncConnection, rows: Sequence[EventRow]) -> int:
        """Store the rows; return how many are new. Raises psycopg.Error."""
        async with connection.cursor(binary=True) as cursor:
            claimed = await self._claim(cursor, rows)
            if claimed:
                await self._copy(cursor, COPY_EVENTS, (row.copied for row in claimed))
        return len(claimed)

    async def _claim(self, cursor: AsyncCursor, rows: Sequence[EventRow]) -> Sequence[EventRow]:
        """Insert the free keys and return their rows. Keys are sorted, so writers do not deadlock."""
        keys = sorted((row.event_id, row.application, row.occurred_at, *row.source) for row in rows)
        event_ids, applications, times, partitions, offsets = zip(*keys, strict=True) if keys else ((),) * 5
        arrays.take_arrays(cursor)
        ids = arrays.uuids(event_ids), arrays.texts(applications)
        places = arrays.int4s(partitions), arrays.int8s(offsets)
        await cursor.execute(_CLAIM_KEYS, (*ids, arrays.timestamps(times), *places))
        if cursor.rowcount == len(rows):
            return rows
        claimed = {(copy.uuid(event_id), copy.text(application)) async for event_id, application in cursor}
        return [row for row in rows if (row.event_id, row.application) in claimed]
