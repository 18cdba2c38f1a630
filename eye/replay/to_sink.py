"""Store verdicts and sessions from their topics in Postgres, as the sinks do."""

from __future__ import annotations

from collections.abc import Sequence

from eye.replay.row_counts import check_events, check_rejected, check_sessions, count_doubled_events
from eye.runs.plan import Span
from eye.runs.targets import CheckResult, Target
from schemas.settings import Settings
from sinks.chunk_store import store_chunk
from sinks.positions import Position, begin_positions_after_run
from sinks.postgres.pool import Pool, lend
from sinks.table_topics import tables
from sinks.tables.events import EventRow
from sinks.tables.rejected_events import RejectedRow
from sinks.tables.sessions import SessionRow
from stream.runner.chunk import Chunk


class ToSink(Target):
    """Stores what is missing; what is there stays as it is.

    With `everything`, a sink that has no position goes on after what was replayed, instead of reading it all again.
    """

    def __init__(self, settings: Settings, pool: Pool, *, everything: bool) -> None:
        self._pool = pool
        self._tables = tables(settings)
        self._max_refused_share = settings.max_refused_share
        self._everything = everything

    async def replay(self, chunk: Chunk, position: Position) -> None:
        """Store a chunk by the sinks' own writer."""
        await store_chunk(self._pool, self._tables[chunk.topic], chunk, position, self._max_refused_share)

    async def check(self, chunk: Chunk) -> CheckResult:
        """Look for the rows of a chunk."""
        rows = self._tables[chunk.topic].make_rows(chunk.records).rows
        if not rows:
            return CheckResult()
        async with lend(self._pool) as connection:
            match rows[0]:
                case EventRow():
                    return await check_events(connection, rows)
                case RejectedRow():
                    return await check_rejected(connection, rows)
                case SessionRow():
                    return await check_sessions(connection, rows)
        raise AssertionError("there are three tables")

    async def finish(self, run: str, spans: Sequence[Span]) -> CheckResult:
        """Restore the sinks' positions where all was replayed; returns what is stored twice in all."""
        if not self._everything:
            return CheckResult()
        async with lend(self._pool) as connection:
            for topic in {span.topic for span in spans}:
                await begin_positions_after_run(connection, self._tables[topic].sink, topic, run)
            return CheckResult(twice=await count_doubled_events(connection))

    async def close(self) -> None:
        """Nothing is held between chunks."""
