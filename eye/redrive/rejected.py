"""The rejected events that are to be tried again, as Postgres has them."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import class_row

from eye.redrive.transform import Step, transform
from eye.runs.selection import Selection
from schemas.record import APPLICATION, EVENT_ID, RECEIVED_AT, SENT_AT, UNKNOWN_EVENT_TYPES, Record, to_millis

MAX_ATTEMPTS = 5

_CONDITIONS = """
    source_partition is not null and redriven_by is null and not raw_truncated
    and (%(code)s::text is null or codes @> array[%(code)s::text])
    and (%(category)s::text is null or category = %(category)s)
    and (%(name)s::text is null or rejected.name = %(name)s)
    and (%(application)s::text is null or application = %(application)s)
    and (%(session)s::text is null or session_id = %(session)s)
    and (%(from)s::timestamptz is null or received_at >= %(from)s)
    and (%(to)s::timestamptz is null or received_at < %(to)s)
    and not exists (
        select from eye.event_keys key
        where key.event_id = rejected.event_id and key.application = rejected.application
    )
"""

_FROM = "from eye.rejected_events rejected left join eye.redrive_attempts tried using (event_id, application)"

_PARTITIONS = f"""
select source_partition,
    count(*) filter (where coalesce(attempts, 0) < %(most)s),
    count(*) filter (where attempts >= %(most)s)
{_FROM} where {_CONDITIONS} group by source_partition order by source_partition
"""

_BATCH = f"""
select event_id::text as row_id, coalesce(client_event_id, event_id::text) as event_id, application, session_id,
    received_at, codes, raw, raw_encoding, source_partition, source_offset,
    rejected.sent_at, unknown_event_types, clock_offset_ms
{_FROM} where {_CONDITIONS}
    and source_partition = %(partition)s and source_offset >= %(offset)s
    and coalesce(attempts, 0) < %(most)s and last_run is distinct from %(run)s
order by source_offset limit %(limit)s
"""

_TRIED = """
insert into eye.redrive_attempts (event_id, application, attempts, last_run)
select event_id, application, 1, %s from unnest(%s::uuid[], %s::text[]) as tried (event_id, application)
on conflict (event_id, application) do update
set attempts = redrive_attempts.attempts + 1, last_run = excluded.last_run, last_at = now()
"""


@dataclass(frozen=True)
class RejectedEvent:
    """A row of eye.rejected_events that can be read as its raw record."""

    row_id: str
    event_id: str
    application: str
    session_id: str | None
    received_at: datetime
    codes: list[str]
    raw: str
    raw_encoding: str
    source_partition: int
    source_offset: int
    sent_at: datetime | None
    unknown_event_types: str | None
    clock_offset_ms: int | None

    def value(self) -> bytes:
        """Return the raw record's value."""
        return base64.b64decode(self.raw) if self.raw_encoding == "base64" else self.raw.encode()


def retry_of(rejected: RejectedEvent, topic: str, steps: Sequence[Step]) -> Record:
    """Return a rejected event as the raw record that it would be now, transformed where it is JSON."""
    headers = [
        (EVENT_ID, rejected.event_id.encode()),
        (APPLICATION, rejected.application.encode()),
        (RECEIVED_AT, str(to_millis(rejected.received_at)).encode()),
    ]
    if rejected.sent_at is not None:
        headers.append((SENT_AT, str(to_millis(rejected.sent_at)).encode()))
    if rejected.unknown_event_types is not None:
        headers.append((UNKNOWN_EVENT_TYPES, rejected.unknown_event_types.encode()))
    key = rejected.session_id.encode() if rejected.session_id is not None else None
    place = (topic, rejected.source_partition, rejected.source_offset, to_millis(rejected.received_at))
    return Record(*place, key, _transformed(rejected.value(), steps), headers)


def _transformed(value: bytes, steps: Sequence[Step]) -> bytes:
    if not steps:
        return value
    try:
        return json.dumps(transform(json.loads(value), steps)).encode()
    except (ValueError, RecursionError):
        return value


def conditions(selection: Selection) -> dict[str, Any]:
    """Return the parameters of the queries here."""
    given = {field: getattr(selection, field) for field in ("code", "category", "name", "application", "session")}
    return given | {"from": selection.from_time, "to": selection.to_time, "most": MAX_ATTEMPTS}


async def count_by_partition(connection: AsyncConnection, selection: Selection) -> list[tuple[int, int, int]]:
    """Return for each raw partition how many events are to be tried, and how many have been often enough."""
    cursor = await connection.execute(_PARTITIONS.encode(), conditions(selection))
    return [(partition, tried, exhausted) for partition, tried, exhausted in await cursor.fetchall()]


async def next_batch(
    connection: AsyncConnection, selection: Selection, run: str, partition: int, offset: int, limit: int
) -> list[RejectedEvent]:
    """Return rejected events of a raw partition from an offset on, those left out that the run has tried."""
    parameters = conditions(selection) | {"run": run, "partition": partition, "offset": offset, "limit": limit}
    cursor = connection.cursor(row_factory=class_row(RejectedEvent))
    return await (await cursor.execute(_BATCH.encode(), parameters)).fetchall()


async def record_attempts(connection: AsyncConnection, run: str, events: Sequence[RejectedEvent]) -> None:
    """Count one more attempt for each event."""
    ids, applications = [event.row_id for event in events], [event.application for event in events]
    await connection.execute(_TRIED, (run, ids, applications))
