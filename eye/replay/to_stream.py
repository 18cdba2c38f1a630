"""Raw records through today's rules: what is judged otherwise than before is published again, and replaced."""

from __future__ import annotations

from collections.abc import Sequence

from eye.replay.compare import Taken, compare
from eye.runs.plan import Span
from eye.runs.rejudging import Judging, Publisher
from eye.runs.targets import Found, Target
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
        self._judging = Judging(settings, run)
        self._publisher = Publisher(settings, run)
        self._looked_at: set[Taken] = set()

    async def replay(self, chunk: Chunk, position: Position) -> None:
        """Replace the verdicts of a chunk that differ from those of today."""
        judged = [self._judging.judge(raw) for raw in chunk.records]
        await self._publisher.open(chunk.partition)
        async with lend(self._pool) as connection, connection.transaction():
            await lock_verdicts(connection, chunk.partition, exclusive=True)
            changed, _ = await compare(connection, judged, set())
            await position.advance(connection, chunk, len(changed))
            await self._publisher.publish(changed, chunk.next_offset)
            await replace_verdicts(connection, [one.row for one in changed])

    async def look(self, chunk: Chunk) -> Found:
        """Hold today's verdicts against what is stored."""
        if not chunk.records:
            return Found()
        judged = [self._judging.judge(raw) for raw in chunk.records]
        async with lend(self._pool) as connection, connection.transaction(force_rollback=True):
            _, found = await compare(connection, judged, self._looked_at)
        return found

    async def finish(self, run: str, spans: Sequence[Span]) -> Found:
        """Nothing is left to do."""
        return Found()

    async def close(self) -> None:
        """Let go of the producer."""
        await self._publisher.close()
