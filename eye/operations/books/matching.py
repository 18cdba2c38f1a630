"""Match raw records with rows and pending verdicts, to count their results."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import LiteralString, NamedTuple
from uuid import UUID

from aiokafka import TopicPartition
from psycopg import AsyncConnection

from eye.operations.books.lines import Ledger, LedgerLine, MissingEvent
from eye.operations.books.pending_verdicts import EventKey, PendingVerdicts
from eye.operations.wait_until_stored import Positions
from schemas.ids import row_id
from schemas.record import RawRecord, open_envelope
from schemas.settings import Settings
from stream.runner.kafka_reader import Lookup

SHOWN_MISSING = 20
"""Most missing events that are listed by id."""

_READ_RECORDS = 5_000
_KEYS_AT_ONCE = 1_000

_EVENTS = """
select application, event_id, source_partition, source_offset, received_at from eye.events
where received_at >= %s and received_at < %s
"""

_REJECTED = """
select application, event_id, source_partition, source_offset, received_at from eye.rejected_events
where received_at >= %s and received_at < %s and redriven_by is null
"""

_KNOWN = """
select application, event_id from unnest(%s::text[], %s::uuid[]) wanted (application, event_id)
where exists (select from eye.event_keys key
              where key.event_id = wanted.event_id and key.application = wanted.application)
or exists (select from eye.rejected_events rejected
           where rejected.event_id = wanted.event_id and rejected.application = wanted.application)
"""


class _Row(NamedTuple):
    application: str
    event_id: UUID
    partition: int | None
    offset: int | None
    received_at: datetime

    def is_after(self, earliest: Mapping[int, int]) -> bool:
        """Tell whether the raw record may still be there."""
        return self.partition is None or self.offset is None or self.offset >= earliest.get(self.partition, 0)

    def place(self) -> int:
        return hash((self.application, self.event_id.bytes, self.partition, self.offset))


class Unmatched(NamedTuple):
    """A raw record that has no row and is not in flight."""

    line: LedgerLine
    key: EventKey
    missing: MissingEvent


class Matcher:
    """Counts rows and raw records by line, and matches them: by where the raw record stands, and its event's id.

    Of a row a hash of 64 bits is kept. Two that are alike among ten million are less likely than one in 300,000.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._rows: set[int] = set()
        self.lines: dict[tuple[str, int], LedgerLine] = {}

    def _line(self, application: str, moment: datetime) -> LedgerLine:
        hour = int(moment.timestamp()) // 3600
        line = self.lines.get((application, hour))
        if line is None:
            line = self.lines[application, hour] = LedgerLine(application, datetime.fromtimestamp(hour * 3600, UTC))
        return line

    async def add_rows(self, connection: AsyncConnection, earliest: Mapping[int, int]) -> None:
        """Count the rows whose raw record is still there; a rejected event that became a row counts as stored."""
        keys: set[int] = set()
        async for row in self._select(connection, _EVENTS):
            if row.is_after(earliest):
                self._line(row.application, row.received_at).stored += 1
                self._rows.add(row.place())
                key = hash((row.application, row.event_id.bytes))
                self._ledger.doubled += key in keys
                keys.add(key)
        async for row in self._select(connection, _REJECTED):
            if row.is_after(earliest) and row.place() not in self._rows:
                self._line(row.application, row.received_at).rejected += 1
                self._rows.add(row.place())

    async def _select(self, connection: AsyncConnection, query: LiteralString) -> AsyncIterator[_Row]:
        """Yield a table's rows of these times, without holding all of them at once."""
        async with connection.cursor("ledger", binary=True) as cursor:
            cursor.itersize = _READ_RECORDS
            await cursor.execute(query, (self._ledger.since, self._ledger.until))
            async for found in cursor:
                yield _Row(*found)

    async def add_raw(
        self, settings: Settings, raw: Sequence[TopicPartition], judged: Positions, pending: PendingVerdicts
    ) -> list[Unmatched]:
        """Count the raw records, and return those that neither have a row nor are in flight."""
        found: list[Unmatched] = []
        async with Lookup(settings, committed_only=False) as lookup:
            for tp in raw:
                _, end = await lookup.bounds(tp)
                start = await lookup.offset_at(tp, self._ledger.since)
                done_to = 0 if tp.partition in pending.hidden else judged.get(tp, 0)
                async for chunk in lookup.chunks(tp, end if start is None else start, end, _READ_RECORDS):
                    found += (one for record in chunk.records if (one := self._add_record(record, done_to, pending)))
        return found

    def _add_record(self, record: RawRecord, done_to: int, pending: PendingVerdicts) -> Unmatched | None:
        """Count one raw record; return it when it was judged, has no row, and waits for none."""
        envelope = open_envelope(record)
        if not self._ledger.since <= envelope.received_at < self._ledger.until:
            return None
        application, place = envelope.application, (record.partition, record.offset)
        event_id = row_id(application, envelope.event_id).bytes
        line = self._line(application, envelope.received_at)
        line.received += 1
        if hash((application, event_id, *place)) in self._rows:
            return None
        if record.offset >= done_to or place in pending.places:
            line.in_flight += 1
            return None
        return Unmatched(line, (application, event_id), MissingEvent(application, envelope.event_id, *place))

    async def classify_unmatched(
        self, connection: AsyncConnection, found: list[Unmatched], pending: PendingVerdicts
    ) -> None:
        """Tell duplicates from what is missing: the event of a duplicate has a row, or is about to."""
        for first in range(0, len(found), _KEYS_AT_ONCE):
            some = found[first : first + _KEYS_AT_ONCE]
            known = pending.keys | await _known(connection, (one.key for one in some))
            for one in some:
                if one.key in known:
                    one.line.duplicate += 1
                elif len(self._ledger.missing) < SHOWN_MISSING:
                    self._ledger.missing.append(one.missing)


async def _known(connection: AsyncConnection, keys: Iterable[EventKey]) -> set[EventKey]:
    """Return those of the keys that have a row."""
    applications, event_ids = zip(*keys, strict=True)
    ids = [UUID(bytes=event_id) for event_id in event_ids]
    found = await (await connection.execute(_KNOWN, (list(applications), ids))).fetchall()
    return {(application, event_id.bytes) for application, event_id in found}
