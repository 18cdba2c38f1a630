"""The stream's work on one partition of the raw topic."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from typing import NamedTuple

from aiokafka import TopicPartition

from kafka_client.cluster_guard import ClusterGuard
from schemas import record
from schemas.judge import judge_value
from schemas.record import open_envelope
from schemas.rules import Rules
from schemas.session import SessionSummary, decode_session, encode_session
from schemas.settings import Settings
from schemas.topics import topic_names
from schemas.verdict import Accepted, Verdict, decode_accepted, decode_rejected
from stream.checkpoint import Checkpoint, OutgoingRecord
from stream.duplicates import RecentEvents
from stream.metrics import StreamMetrics
from stream.runner.chunk import Chunk
from stream.runner.kafka_reader import Lookup
from stream.runner.positions import PositionLost, clamp_position
from stream.sessions import SessionBook
from stream.verdict_records import verdict_record


class _ChunkResult(NamedTuple):
    """Results of a chunk: the verdicts that count, their records by topic, and the verdicts on duplicates."""

    verdicts: list[Verdict]
    accepted: list[OutgoingRecord]
    rejected: list[OutgoingRecord]
    duplicates: list[Verdict]


class StreamPartition:
    """Judge a raw partition's records, group them by session, and publish both, exactly once.

    `committed` returns the offset that the stream's group committed for a partition, None if there is none.
    """

    def __init__(
        self,
        settings: Settings,
        rules: Rules,
        metrics: StreamMetrics,
        raw: TopicPartition,
        committed: Callable[[TopicPartition], Awaitable[int | None]],
        guard: ClusterGuard | None = None,
    ) -> None:
        self._settings = settings
        self._rules = rules
        self._metrics = metrics
        self._topics = topic_names(settings)
        self._raw = raw
        self._committed = committed
        self._guard = guard
        targets = (self._topics.validated, self._topics.rejected, self._topics.sessions)
        self._checkpoint = Checkpoint(settings, settings.stream_group, raw, targets, guard)
        self._reset_state()

    def _reset_state(self) -> None:
        settings = self._settings
        self._sessions = SessionBook(timedelta(seconds=settings.session_gap_seconds), self._rules.clock_skew)
        self._recent = RecentEvents(
            timedelta(seconds=settings.duplicate_window_seconds), settings.duplicate_window_events
        )

    async def open(self) -> int:
        """Fence the former owner, then restore state and offset; what it committed is final only after the fence."""
        await self._checkpoint.open()
        self._reset_state()
        async with Lookup(self._settings, guard=self._guard) as lookup:
            await self._restore_sessions(lookup)
            await self._restore_recent(lookup)
            return await self._position(lookup)

    async def _position(self, lookup: Lookup) -> int:
        """Return the offset to go on from. Raises PositionLost when it cannot be known."""
        where = f"{self._settings.stream_group} at {self._raw.topic}:{self._raw.partition}"
        committed = await self._committed(self._raw)
        if committed is None and await self._has_results(lookup):
            raise PositionLost(
                f"{where}: there are results, but no committed offset; judging all again would double them."
                " Set the group's offset by hand"
            )
        return clamp_position(where, committed, await lookup.bounds(self._raw))

    async def _has_results(self, lookup: Lookup) -> bool:
        for topic in (self._topics.validated, self._topics.rejected):
            async for _ in lookup.read(TopicPartition(topic, self._raw.partition)):
                return True
        return False

    async def _restore_sessions(self, lookup: Lookup) -> None:
        latest: dict[str, SessionSummary] = {}
        async for published in lookup.read(TopicPartition(self._topics.sessions, self._raw.partition)):
            if published.value is not None:
                summary = decode_session(published.value)
                latest[summary.session_id] = summary
        self._sessions.restore(latest.values())

    async def _restore_recent(self, lookup: Lookup) -> None:
        if self._sessions.now is None:
            return
        since = self._sessions.now - timedelta(seconds=self._settings.duplicate_window_seconds)
        for topic, decode_verdict in (
            (self._topics.validated, decode_accepted),
            (self._topics.rejected, decode_rejected),
        ):
            async for published in lookup.read(TopicPartition(topic, self._raw.partition), since=since):
                if not any(name == record.REPLAY for name, _ in published.headers):  # long past, whenever written
                    self._recent.add(decode_verdict(published.value))

    async def process(self, chunk: Chunk) -> None:
        """Publish the verdicts and session updates of a chunk, all or nothing."""
        with self._metrics.chunk(len(chunk.records)):
            result = self._judge(chunk)
            updates = self._sessions.apply(result.verdicts)
            with self._metrics.transaction():
                async with self._checkpoint.transaction(chunk.next_offset) as transaction:
                    await transaction.write(self._topics.validated, result.accepted)
                    await transaction.write(self._topics.rejected, result.rejected)
                    await transaction.write(self._topics.sessions, _sessions(updates.values()))
        self._metrics.count(result.verdicts, result.duplicates)

    def _judge(self, chunk: Chunk) -> _ChunkResult:
        """Judge a chunk's records, and separate duplicates from those that count.

        Each step runs over all records before the next one, which is faster than all steps for each record.
        """
        rules, recent, clocks = self._rules, self._recent, self._sessions
        place = f"{chunk.topic}:{chunk.partition}:".encode()
        opened = [(raw, open_envelope(raw)) for raw in chunk.records]
        verdicts = [judge_value(raw.value or b"", envelope, rules, clocks) for raw, envelope in opened]
        result = _ChunkResult([], [], [], [])
        for (raw, envelope), verdict in zip(opened, verdicts, strict=True):
            if not recent.add(verdict):
                result.duplicates.append(verdict)
                continue
            result.verdicts.append(verdict)
            published = result.accepted if isinstance(verdict, Accepted) else result.rejected
            published.append(verdict_record(raw, envelope, verdict, place))
        return result

    async def close(self) -> None:
        """Close the producer and the store of closed sessions."""
        await self._checkpoint.close()
        self._sessions.close()


def _sessions(summaries: Iterable[SessionSummary]) -> Iterable[OutgoingRecord]:
    for summary in summaries:
        headers = [(record.REVISION, str(summary.revision).encode())]
        yield summary.session_id.encode(), encode_session(summary), headers
