"""What became of an event, step by step: its raw record, the verdict, the row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec
from aiokafka import ConsumerRecord, TopicPartition

from gateway.query.database import Database
from gateway.query.kafka_reader import KafkaReader, committed_offsets
from gateway.query.statements import SINK_POSITIONS, TRACED_EVENTS, TRACED_REJECTED
from schemas.ids import row_id
from schemas.record import CODES, TRACEPARENT, UNKNOWN_APPLICATION, from_millis, open_envelope, place_in_source
from schemas.settings import Settings
from schemas.topics import sink_names, topic_names

DEFAULT_SINCE = timedelta(minutes=10)
"""How far back an event is looked for that has no row yet."""

_CLOCKS = timedelta(seconds=5)
"""How far the clocks of two hosts may be apart: a verdict's record may bear an earlier time than its raw record."""


class RecordPlace(msgspec.Struct):
    """A record in Kafka, and when it was written; null where it has expired."""

    topic: str
    partition: int
    offset: int
    written_at: datetime | None = None


class RowPlace(msgspec.Struct):
    """A row in Postgres. `stored_at` is known where Postgres has `track_commit_timestamp` on."""

    table: Literal["events", "rejected_events"]
    id: str
    stored_at: datetime | None = None


class Trace(msgspec.Struct):
    """The steps of one event; null for what has not happened, or can't be found any more.

    `trace_id` is that of the W3C trace context which its request had.
    """

    event_id: str
    application: str
    status: Literal["received", "judged", "stored", "rejected"]
    received_at: datetime | None = None
    raw: RecordPlace | None = None
    verdict: Literal["accepted", "rejected"] | None = None
    codes: list[str] = []
    judged: RecordPlace | None = None
    row: RowPlace | None = None
    trace_id: str | None = None


class Traces(msgspec.Struct):
    """The event of each application that used the id. Not `complete`: there was more to read than allowed."""

    traces: list[Trace]
    complete: bool = True


async def trace_event(
    settings: Settings,
    database: Database,
    kafka: KafkaReader,
    event_id: str,
    applications: Iterable[str],
    since: datetime,
) -> Traces:
    """Find every event with an id, as sent or as a row has it; of an id that is no UUID, of these applications.

    Events without a row are looked for among the records since then that no stage is done with. Raises
    KafkaError, and what the database raises.
    """
    search = _Search(settings, database, kafka, event_id, {*applications, UNKNOWN_APPLICATION})
    judged, stored = await search.positions()  # before the rows: what moves meanwhile is found in either
    await search.find_rows()
    await search.find_verdicts(since, stored)
    await search.find_raw(since, judged)
    await search.fill_in()
    return Traces([found for _, found in sorted(search.found.items())], kafka.complete)


class _Search:
    def __init__(
        self, settings: Settings, database: Database, kafka: KafkaReader, event_id: str, applications: Iterable[str]
    ) -> None:
        self._settings = settings
        self._topics = topic_names(settings)
        self._database = database
        self._kafka = kafka
        self._event_id = event_id
        self._row_ids = {row_id(application, event_id) for application in applications}
        self.found: dict[str, Trace] = {}

    async def positions(self) -> tuple[dict[TopicPartition, int], dict[TopicPartition, int]]:
        """Return how far the stream and the sinks are."""
        judged = await committed_offsets(self._settings, self._settings.stream_group)
        topics, sinks = [self._topics.validated, self._topics.rejected], sink_names(self._settings)
        wanted = {"topics": topics, "sinks": [sinks[topic] for topic in topics]}
        rows = await self._database.rows(SINK_POSITIONS, wanted)
        return judged, {TopicPartition(row["topic"], row["partition"]): row["next_offset"] for row in rows}

    async def find_rows(self) -> None:
        """Find the event's rows."""
        wanted = {"ids": list(self._row_ids)}
        for row in await self._database.rows(TRACED_REJECTED, wanted):
            self._note_row(row, RowPlace("rejected_events", row["row_id"], row["stored_at"]))
        for row in await self._database.rows(TRACED_EVENTS, wanted):
            self._note_row(row, RowPlace("events", row["row_id"], row["stored_at"]))

    def _note_row(self, row: Mapping[str, Any], place: RowPlace) -> None:
        accepted = place.table == "events"
        self.found[row["application"]] = Trace(
            event_id=row["event_id"],
            application=row["application"],
            status="stored" if accepted else "rejected",
            received_at=row["received_at"],
            raw=_raw_place(self._topics.raw, row["source_partition"], row["source_offset"]),
            verdict="accepted" if accepted else "rejected",
            codes=row["codes"],
            row=place,
        )

    async def find_verdicts(self, since: datetime, stored: dict[TopicPartition, int]) -> None:
        """Find the event among the verdicts that no sink has stored."""
        for topic in (self._topics.validated, self._topics.rejected):
            async for record in self._kafka.records(await self._starts(topic, since, stored)):
                if self._is_wanted(record):
                    self._note_verdict(record)

    async def find_raw(self, since: datetime, judged: dict[TopicPartition, int]) -> None:
        """Find the event among the raw records that nobody has judged."""
        async for record in self._kafka.records(await self._starts(self._topics.raw, since, judged)):
            if self._is_wanted(record):
                trace = self._trace_of(record)
                trace.raw = trace.raw or _place(record)

    async def _starts(
        self, topic: str, since: datetime, done_to: dict[TopicPartition, int]
    ) -> dict[TopicPartition, int]:
        offsets = await self._kafka.offsets_at(await self._kafka.partitions(topic), since)
        return {tp: max(offset, done_to.get(tp, 0)) for tp, offset in offsets.items()}

    def _is_wanted(self, record: ConsumerRecord) -> bool:
        envelope = open_envelope(record)
        return envelope.event_id == self._event_id or row_id(envelope.application, envelope.event_id) in self._row_ids

    def _trace_of(self, record: ConsumerRecord) -> Trace:
        envelope = open_envelope(record)
        new = Trace(envelope.event_id, envelope.application, "received", envelope.received_at)
        trace = self.found.setdefault(envelope.application, new)
        trace.trace_id = trace.trace_id or _trace_id(record)
        return trace

    def _note_verdict(self, record: ConsumerRecord) -> None:
        trace = self._trace_of(record)
        if trace.row is None and trace.judged is None:
            trace.status = "judged"
            trace.verdict = "accepted" if record.topic == self._topics.validated else "rejected"
            trace.codes = _codes(record)
            trace.judged = _place(record)
            trace.raw = _raw_place(self._topics.raw, *(place_in_source(record.headers) or (None, None)))

    async def fill_in(self) -> None:
        """Look up the records that rows and verdicts tell of."""
        for trace in self.found.values():
            if trace.raw and trace.raw.written_at is None:
                tp = TopicPartition(trace.raw.topic, trace.raw.partition)
                record = await self._kafka.record(tp, trace.raw.offset)
                if record is not None:
                    trace.raw.written_at, trace.trace_id = from_millis(record.timestamp), _trace_id(record)
            if trace.verdict and trace.judged is None and trace.raw:
                trace.judged = await self._judged(trace, trace.raw)

    async def _judged(self, trace: Trace, raw: RecordPlace) -> RecordPlace | None:
        """Find the verdict of a raw record: in its own partition, from the time it was written on."""
        moment = raw.written_at or trace.received_at
        topics = (self._topics.validated, self._topics.rejected)
        first = topics if trace.verdict == "accepted" else topics[::-1]
        for topic in first:  # an event that Postgres refused was accepted before
            tp = TopicPartition(topic, raw.partition)
            if moment is None or tp not in await self._kafka.partitions(topic):
                continue
            starts = await self._kafka.offsets_at([tp], moment - _CLOCKS)
            async for record in self._kafka.records(starts):
                if place_in_source(record.headers) == (raw.partition, raw.offset) and self._is_wanted(record):
                    trace.trace_id = trace.trace_id or _trace_id(record)
                    return _place(record)
        return None


def _place(record: ConsumerRecord) -> RecordPlace:
    return RecordPlace(record.topic, record.partition, record.offset, from_millis(record.timestamp))


def _raw_place(topic: str, partition: int | None, offset: int | None) -> RecordPlace | None:
    return None if partition is None or offset is None else RecordPlace(topic, partition, offset)


def _trace_id(record: ConsumerRecord) -> str | None:
    parts: list[str] = (dict(record.headers).get(TRACEPARENT) or b"").decode("ascii", "replace").split("-")
    return parts[1] if len(parts) == 4 else None


def _codes(record: ConsumerRecord) -> list[str]:
    codes: str = dict(record.headers).get(CODES, b"").decode()
    return codes.split(",") if codes else []
