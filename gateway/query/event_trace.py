"""The trace of an event: GET /events/{event_id}/trace, and `eye trace`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec
from aiokafka import ConsumerRecord, TopicPartition

from gateway.openapi_parts import Json, call, path
from gateway.query.database import Database
from gateway.query.kafka_reader import KafkaReader, committed_offsets
from gateway.query.parameters import time_parameter
from schemas.ids import row_id
from schemas.record import CODES, TRACEPARENT, UNKNOWN_APPLICATION, from_millis, open_envelope, place_in_source
from schemas.settings import Settings
from schemas.topics import sink_names, topic_names

DEFAULT_SINCE = timedelta(minutes=10)
"""An event without a row is looked for among the records of this time."""

_CLOCKS = timedelta(seconds=5)
"""Largest difference between the clocks of two hosts; a verdict's record may be older than its raw record by this."""

TRACE_PARAMETERS = (time_parameter("since", "How far back to look for what has no row; default: ten minutes."),)

_SINK_POSITIONS = """
    select topic, partition, next_offset from eye.sink_positions
    where topic = any(%(topics)s) and sink = any(%(sinks)s)"""

# when a row was stored is known where Postgres keeps the times of commits
_STORED_AT = """
    case when current_setting('track_commit_timestamp') = 'on' then pg_xact_commit_timestamp(event.xmin) end
    as stored_at"""

_EVENTS = f"""
    select coalesce(event.client_event_id, event.event_id::text) as event_id, event.application, event.received_at,
        event.source_partition, event.source_offset, event.event_id::text as row_id, array[]::text[] as codes,
        {_STORED_AT}
    from eye.events event join eye.event_keys key using (occurred_at, event_id, application)
    where key.event_id = any(%(ids)s)"""

_REJECTED_EVENTS = f"""
    select coalesce(event.client_event_id, event.event_id::text) as event_id, event.application, event.received_at,
        event.source_partition, event.source_offset, event.event_id::text as row_id, event.codes,
        {_STORED_AT}
    from eye.rejected_events event where event.event_id = any(%(ids)s)"""


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


def paths() -> Json:
    """Return the call as the OpenAPI document has it."""
    parameters = [path("event_id", "The event's id, as sent."), *(known.openapi() for known in TRACE_PARAMETERS)]
    summary = "What became of an event, step by step, with each step's time"
    return {"/events/{event_id}/trace": {"get": call(summary, "Traces", [400, 401, 403, 404, 503], parameters)}}


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
        rows = await self._database.rows(_SINK_POSITIONS, wanted)
        return judged, {TopicPartition(row["topic"], row["partition"]): row["next_offset"] for row in rows}

    async def find_rows(self) -> None:
        """Find the event's rows."""
        wanted = {"ids": list(self._row_ids)}
        for row in await self._database.rows(_REJECTED_EVENTS, wanted):
            self._note_row(row, RowPlace("rejected_events", row["row_id"], row["stored_at"]))
        for row in await self._database.rows(_EVENTS, wanted):
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
