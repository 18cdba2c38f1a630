"""Judge raw records by today's rules; publish and replace verdicts that differ from the stored ones."""

from __future__ import annotations

from collections.abc import Sequence

from eye.replay.compare import SeenEvent, compare
from eye.runs.plan import Span
from eye.runs.rejudging import Rejudged, Rejudger, VerdictPublisher
from eye.runs.stored_clocks import read_clock_offsets
from eye.runs.targets import CheckResult, Target
from schemas.session_clocks import FirstEventDecides
from schemas.settings import Settings
from sinks.positions import Position
from sinks.postgres.pool import Pool, lend
from sinks.tables.corrections import lock_verdicts, replace_verdicts
from stream.runner.chunk import Chunk


class ToStream(Target):
    """Judges anew and replaces what differs, in Kafka and in Postgres.

    The rows and the run's position are one Postgres transaction, which ends after the Kafka transaction: what a crash
    in between has left published is not published again. The live stream is not touched: neither its sessions, nor
    its window of duplicates, nor its transactions.
    """

    def __init__(self, settings: Settings, pool: Pool, run: str) -> None:
        self._pool = pool
        self._rejudger = Rejudger(settings, run)
        self._clocks = FirstEventDecides(self._rejudger.rules.clock_skew)
        self._publisher = VerdictPublisher(settings, run)
        self._seen: set[SeenEvent] = set()

    async def replay(self, chunk: Chunk, position: Position) -> None:
        """Replace the verdicts of a chunk that differ from those of today."""
        judged = await self._judge(chunk)
        await self._publisher.open(chunk.partition)
        async with lend(self._pool) as connection, connection.transaction():
            await lock_verdicts(connection, chunk.partition, exclusive=True)
            changed, _ = await compare(connection, judged, set())
            await position.advance(connection, chunk, len(changed))
            await self._publisher.publish(changed, chunk.next_offset)
            await replace_verdicts(connection, [one.row for one in changed])

    async def check(self, chunk: Chunk) -> CheckResult:
        """Hold today's verdicts against what is stored."""
        if not chunk.records:
            return CheckResult()
        judged = await self._judge(chunk)
        async with lend(self._pool) as connection, connection.transaction(force_rollback=True):
            _, found = await compare(connection, judged, self._seen)
        return found

    async def _judge(self, chunk: Chunk) -> list[Rejudged]:
        """Judge records by the clock offsets that the stream decided; a session that nobody knows is decided anew."""
        keys = [raw.key for raw in chunk.records if raw.key is not None and b"\0" not in raw.key]
        async with lend(self._pool) as connection:
            self._clocks.known = await read_clock_offsets(connection, [key.decode("utf-8", "replace") for key in keys])
        return [self._rejudger.judge(raw, self._clocks) for raw in chunk.records]

    async def finish(self, run: str, spans: Sequence[Span]) -> CheckResult:
        """Nothing is left to do."""
        return CheckResult()

    async def close(self) -> None:
        """Let go of the producer."""
        await self._publisher.close()
