"""Compare today's verdicts with the stored ones of the same raw records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from psycopg import AsyncConnection
from psycopg.rows import namedtuple_row

from eye.runs.rejudging import Rejudged
from eye.runs.targets import CheckResult
from schemas.verdict import Accepted
from sinks.tables.corrections import load_again

_OLD = """
    replaced.redriven as redriven,
    {event_differs} as event_differs,
    {rejected_differs} as rejected_differs,
    event.event_id is not null as own_event,
    rejected.event_id is not null
        and rejected.source_partition = new.source_partition and rejected.source_offset = new.source_offset
        as own_rejected,
    key.event_id is not null as any_event,
    rejected.event_id is not null as any_rejected,
    rejected.codes as codes
from pg_temp.{new} new
left join eye.replaced_verdicts replaced using (event_id, application, source_partition, source_offset)
left join eye.event_keys key on key.event_id = new.event_id and key.application = new.application
left join eye.events event on event.occurred_at = key.occurred_at
    and event.event_id = new.event_id and event.application = new.application
    and event.source_partition = new.source_partition and event.source_offset = new.source_offset
left join eye.rejected_events rejected
    on rejected.event_id = new.event_id and rejected.application = new.application
"""

_EVENT = (
    "session_id", "category", "name", "occurred_at", "received_at", "schema_version", "data", "client_event_id",
    "user_id", "context", "timestamp_sent", "clock_offset_ms",
)  # fmt: skip
_REJECTED = (
    "session_id", "category", "name", "timestamp", "received_at", "codes", "errors", "raw", "raw_encoding",
    "raw_truncated", "client_event_id",
)  # fmt: skip


def _differs(table: str, columns: Sequence[str]) -> str:
    old, new = (", ".join(f"{side}.{column}" for column in columns) for side in (table, "new"))
    return f"row({old}) is distinct from row({new})"


_STORED = f"""
select new.source_offset as source_offset, {
    _OLD.format(new="again_events", event_differs=_differs("event", _EVENT), rejected_differs="false")
}
union all
select new.source_offset as source_offset, {
    _OLD.format(new="again_rejected", event_differs="false", rejected_differs=_differs("rejected", _REJECTED))
}
""".encode()


SeenEvent = tuple[bool, bytes, bytes]
"""True for an accepted event, then its id and its application."""

ACCEPTED, REJECTED, NONE = "accepted", "rejected", "none"


async def compare(
    connection: AsyncConnection, judged: Sequence[Rejudged], seen: set[SeenEvent]
) -> tuple[list[Rejudged], CheckResult]:
    """Return the verdicts that have to replace what is stored, in order, and what was found.

    The raw records are of one partition. A duplicate of an event that is stored under another record is left alone,
    and so is what was redriven. `seen` are the events that have changed already and are not stored yet; those of this
    call are added. Needs a transaction, for its temporary tables.
    """
    await load_again(connection, [one.row for one in judged])
    cursor = connection.cursor(row_factory=namedtuple_row)
    stored: dict[int, Any] = {row[0]: row for row in await (await cursor.execute(_STORED)).fetchall()}
    changed, found = [], CheckResult()
    for one in judged:
        old, new = stored[one.raw.offset], ACCEPTED if isinstance(one.verdict, Accepted) else REJECTED
        key = (new == ACCEPTED, one.row.event_id, one.row.application)
        before, same = _before(old, new, key in seen)
        found.kinds[_kind(before, new, same)] += 1
        found.expected += before != "duplicate"
        if not same:
            seen.add(key)
            changed.append(one)
            found.add(CheckResult(missing=1, sample=[_example(one, before, new, old)]))
    return changed, found


def _before(old: Any, new: str, seen: bool) -> tuple[str, bool]:
    """Return what was stored of a raw record, and whether it may stay."""
    if old.redriven:
        return "redriven", True
    if old.own_event:
        return ACCEPTED, new == ACCEPTED and not old.event_differs
    if old.own_rejected:
        return REJECTED, new == REJECTED and not old.rejected_differs
    if seen or old.any_event or (new == REJECTED and old.any_rejected):
        return "duplicate", True
    return NONE, False


def _kind(before: str, new: str, same: bool) -> str:
    if before == new:
        return f"{before} -> {new}, {'same' if same else 'other content'}"
    return before if same else f"{before} -> {new}"


def _example(one: Rejudged, before: str, new: str, old: Any) -> dict[str, Any]:
    codes = [] if isinstance(one.verdict, Accepted) else one.verdict.codes
    return {
        "event_id": one.verdict.event_id,
        "application": one.verdict.application,
        "raw": f"{one.raw.partition}:{one.raw.offset}",
        "old": before,
        "old_codes": list(old.codes or []) if before == REJECTED else [],
        "new": new,
        "new_codes": codes,
    }
