"""`eye ledger`: what was received, held against what became of it.

Each raw record has to be a row, a duplicate of one, or on its way. That is told from the raw topic and from
Postgres alone, not from anybody's counters.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import LiteralString, NamedTuple
from uuid import UUID

from aiokafka import TopicPartition
from psycopg import AsyncConnection, IsolationLevel
from psycopg.conninfo import make_conninfo

from eye.operations.lag import begin_of
from eye.operations.topics import topic_partitions
from eye.operations.wait_until_stored import Positions, judged_positions, read_stored_positions
from schemas.ids import row_id
from schemas.record import RawRecord, open_envelope, place_in_source
from schemas.settings import Settings
from schemas.topics import topic_names
from stream.runner.kafka_reader import Lookup

DEFAULT_SPAN = timedelta(hours=24)
SHOWN_MISSING = 20
"""So many missing events are told by name."""

_CONNECT_SECONDS = 5
_MARKER_SECONDS = 10.0
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

_Key = tuple[str, bytes]
"""Application and the id of the row."""


@dataclass(slots=True)
class Line:
    """The events of one application that were received within one hour (UTC)."""

    application: str
    hour: datetime
    received: int = 0
    stored: int = 0
    rejected: int = 0
    duplicate: int = 0
    in_flight: int = 0

    @property
    def difference(self) -> int:
        """What was received and can't be accounted for; below 0 what is stored and was never received."""
        return self.received - self.stored - self.rejected - self.duplicate - self.in_flight


class Missing(NamedTuple):
    """A raw record that became nothing."""

    application: str
    event_id: str
    partition: int
    offset: int


@dataclass(slots=True)
class Ledger:
    """What was received from `since` to before `until`. `doubled` counts rows of events that have one already."""

    since: datetime
    until: datetime
    lines: list[Line] = field(default_factory=list)
    missing: list[Missing] = field(default_factory=list)
    doubled: int = 0

    @property
    def balanced(self) -> bool:
        """Whether every line comes to nothing, and nothing is stored twice."""
        return not self.doubled and not any(line.difference for line in self.lines)

    @property
    def total(self) -> Line:
        """The sum of all lines."""
        total = Line("", self.since)
        for line in self.lines:
            for name in ("received", "stored", "rejected", "duplicate", "in_flight"):
                setattr(total, name, getattr(total, name) + getattr(line, name))
        return total


async def take_ledger(settings: Settings, since: datetime | None = None, until: datetime | None = None) -> Ledger:
    """Balance what was received from `since` (a day ago) to before `until` (a day ahead), while all goes on.

    What the raw topic no longer holds is left out. Rows and sinks' positions are of one snapshot, taken first; then
    the stream's position; then the verdicts beyond the sinks' positions; the raw topic's end last. So whatever moves
    meanwhile is found in flight. Raises KafkaError, psycopg.Error, TopicMissing.
    """
    now = datetime.now(UTC)
    ledger = Ledger(since or now - DEFAULT_SPAN, until or now + DEFAULT_SPAN)
    topics, partitions = topic_names(settings), await topic_partitions(settings)
    raw, verdicts = partitions[topics.raw], partitions[topics.validated] + partitions[topics.rejected]
    earliest = await _earliest(settings, raw)
    dsn = make_conninfo(settings.dsn, connect_timeout=_CONNECT_SECONDS)
    async with await AsyncConnection.connect(dsn) as connection:
        await connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)
        await connection.set_read_only(True)
        account = _Account(ledger)
        stored = await read_stored_positions(connection, settings)
        await account.take_rows(connection, earliest)
        judged = await judged_positions(settings)
        waiting = await _read_waiting(settings, verdicts, stored)
        unexplained = await account.take_raw(settings, raw, judged, waiting)
        await account.settle(connection, unexplained, waiting)
    ledger.lines = sorted(account.lines.values(), key=lambda line: (line.application, line.hour))
    return ledger


async def _earliest(settings: Settings, raw: Sequence[TopicPartition]) -> dict[int, int]:
    """Return the raw partitions' earliest offsets."""
    async with Lookup(settings) as lookup:
        return {tp.partition: (await lookup.bounds(tp))[0] for tp in raw}


@dataclass(slots=True)
class _Waiting:
    """Verdicts that the sinks have not stored: of which raw records, and of which events.

    In `hidden` partitions an open transaction may hold more of them.
    """

    places: set[tuple[int, int]] = field(default_factory=set)
    keys: set[_Key] = field(default_factory=set)
    hidden: set[int] = field(default_factory=set)

    def add(self, verdict: RawRecord) -> None:
        """Note a verdict's record."""
        envelope = open_envelope(verdict)
        self.keys.add((envelope.application, row_id(envelope.application, envelope.event_id).bytes))
        if place := place_in_source(verdict.headers):
            self.places.add(place)


async def _read_waiting(settings: Settings, verdicts: Sequence[TopicPartition], stored: Positions) -> _Waiting:
    """Read the verdicts beyond the sinks' positions."""
    waiting = _Waiting()
    async with Lookup(settings) as lookup, Lookup(settings, committed_only=False) as beyond:
        for tp in verdicts:
            if not await _wait_for_markers(lookup, tp, (await beyond.bounds(tp))[1]):
                waiting.hidden.add(tp.partition)
            earliest, end = await lookup.bounds(tp)
            start = begin_of(stored.get(tp, earliest), earliest, end)
            async for chunk in lookup.chunks(tp, start, end, _READ_RECORDS):
                for record in chunk.records:
                    waiting.add(record)
    return waiting


async def _wait_for_markers(lookup: Lookup, tp: TopicPartition, end: int) -> bool:
    """Wait until the transactions that were open are at their end; False when one is not, after a while."""
    deadline = asyncio.get_running_loop().time() + _MARKER_SECONDS
    while (await lookup.bounds(tp))[1] < end:
        if asyncio.get_running_loop().time() > deadline:
            return False
        await asyncio.sleep(0.02)
    return True


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


class _Open(NamedTuple):
    """A raw record that has no row and is not in flight."""

    line: Line
    key: _Key
    missing: Missing


class _Account:
    """Counts rows and raw records by line, and matches them: by where the raw record stands, and its event's id.

    Of a row a hash of 64 bits is kept. Two that are alike among ten million are less likely than one in 300,000.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._rows: set[int] = set()
        self.lines: dict[tuple[str, int], Line] = {}

    def _line(self, application: str, moment: datetime) -> Line:
        hour = int(moment.timestamp()) // 3600
        line = self.lines.get((application, hour))
        if line is None:
            line = self.lines[application, hour] = Line(application, datetime.fromtimestamp(hour * 3600, UTC))
        return line

    async def take_rows(self, connection: AsyncConnection, earliest: Mapping[int, int]) -> None:
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

    async def take_raw(
        self, settings: Settings, raw: Sequence[TopicPartition], judged: Positions, waiting: _Waiting
    ) -> list[_Open]:
        """Count the raw records, and return those that neither have a row nor are in flight."""
        found: list[_Open] = []
        async with Lookup(settings, committed_only=False) as lookup:
            for tp in raw:
                _, end = await lookup.bounds(tp)
                start = await lookup.offset_at(tp, self._ledger.since)
                done_to = 0 if tp.partition in waiting.hidden else judged.get(tp, 0)
                async for chunk in lookup.chunks(tp, end if start is None else start, end, _READ_RECORDS):
                    found += (one for record in chunk.records if (one := self._take(record, done_to, waiting)))
        return found

    def _take(self, record: RawRecord, done_to: int, waiting: _Waiting) -> _Open | None:
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
        if record.offset >= done_to or place in waiting.places:
            line.in_flight += 1
            return None
        return _Open(line, (application, event_id), Missing(application, envelope.event_id, *place))

    async def settle(self, connection: AsyncConnection, found: list[_Open], waiting: _Waiting) -> None:
        """Tell duplicates from what is missing: the event of a duplicate has a row, or is about to."""
        for first in range(0, len(found), _KEYS_AT_ONCE):
            some = found[first : first + _KEYS_AT_ONCE]
            known = waiting.keys | await _known(connection, (one.key for one in some))
            for one in some:
                if one.key in known:
                    one.line.duplicate += 1
                elif len(self._ledger.missing) < SHOWN_MISSING:
                    self._ledger.missing.append(one.missing)


async def _known(connection: AsyncConnection, keys: Iterable[_Key]) -> set[_Key]:
    """Return those of the keys that have a row."""
    applications, event_ids = zip(*keys, strict=True)
    ids = [UUID(bytes=event_id) for event_id in event_ids]
    found = await (await connection.execute(_KNOWN, (list(applications), ids))).fetchall()
    return {(application, event_id.bytes) for application, event_id in found}
