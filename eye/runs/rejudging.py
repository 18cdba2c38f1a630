"""Judge raw records by today's rules, and publish their verdicts again in the name of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from aiokafka import TopicPartition

from gateway.query.kafka_reader import committed_offsets
from schemas.contracts.published import judging_rules
from schemas.judge import judge_value
from schemas.record import REDRIVE, REPLAY, RawRecord, Record, open_envelope
from schemas.session_clocks import SessionClocks
from schemas.settings import Settings
from schemas.topics import topic_names
from schemas.verdict import Accepted, Rejected, Verdict
from sinks.tables.events import EventRow, event_rows
from sinks.tables.rejected_events import RejectedRow, rejected_rows
from stream.checkpoint import Checkpoint, OutgoingRecord
from stream.verdict_records import verdict_record


class Rejudged(NamedTuple):
    """A raw record with its verdict of today, the row that comes to, and the record to publish."""

    raw: RawRecord
    verdict: Verdict
    row: EventRow | RejectedRow
    outgoing: OutgoingRecord


class Rejudger:
    """Judges raw records by the rules that the settings name now, on behalf of a run."""

    def __init__(self, settings: Settings, run: str, *, redrive: bool = False) -> None:
        """With `redrive` the rejected event is kept, and marked. Raises CatalogueError."""
        self._topics = topic_names(settings)
        self.rules = judging_rules(settings)
        self._headers = [(REPLAY, run.encode()), *([(REDRIVE, run.encode())] if redrive else [])]

    def judge(self, raw: RawRecord, clocks: SessionClocks) -> Rejudged:
        """Judge one raw record, by the clock offset that its session has."""
        envelope = open_envelope(raw)
        verdict = judge_value(raw.value or b"", envelope, self.rules, clocks)
        key, value, headers = verdict_record(raw, envelope, verdict, f"{raw.topic}:{raw.partition}:".encode())
        outgoing = (key, value, [*headers, *self._headers])
        accepted = isinstance(verdict, Accepted)
        topic = self._topics.validated if accepted else self._topics.rejected
        record = Record(topic, raw.partition, raw.offset, raw.timestamp, *outgoing)
        [row] = (event_rows([record]) if accepted else rejected_rows([record])).rows
        return Rejudged(raw, verdict, row, outgoing)


class VerdictPublisher:
    """Publishes verdicts again, each once for a run: the raw offset is committed in the same Kafka transaction.

    Transactional id and group are the run's own; the live stream's are not touched.
    """

    def __init__(self, settings: Settings, run: str) -> None:
        self._settings = settings
        self._group = f"{settings.group}eye-replay-{run}"
        self._topics = topic_names(settings)
        self._tp: TopicPartition | None = None
        self._checkpoint: Checkpoint | None = None
        self._published_to = 0

    async def open(self, partition: int) -> None:
        """Fence whoever else works on this run in this partition; only then is what it has published final."""
        tp = TopicPartition(self._topics.raw, partition)
        if self._checkpoint is None or self._tp != tp:
            await self.close()
            targets = (self._topics.validated, self._topics.rejected)
            self._tp, self._checkpoint = tp, Checkpoint(self._settings, self._group, tp, targets)
            await self._checkpoint.open()
            self._published_to = (await committed_offsets(self._settings, self._group)).get(tp, 0)

    async def publish(self, judged: Sequence[Rejudged], next_offset: int) -> None:
        """Publish verdicts in the open partition; those that the run has published already are left out."""
        assert self._checkpoint is not None, "the publisher is not open"
        new = [one for one in judged if one.raw.offset >= self._published_to]
        if not new:
            return
        async with self._checkpoint.transaction(next_offset) as transaction:
            for topic, kind in ((self._topics.validated, Accepted), (self._topics.rejected, Rejected)):
                await transaction.write(topic, [one.outgoing for one in new if isinstance(one.verdict, kind)])

    async def close(self) -> None:
        """Let go of the producer."""
        checkpoint, self._checkpoint = self._checkpoint, None
        if checkpoint is not None:
            await checkpoint.close()
