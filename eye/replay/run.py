"""One replay from its plan to its proof."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

import msgspec
import psycopg

from eye.operations.wait_until_stored import NotSettled, judged_positions, wait_until_stored
from eye.replay.to_file import ToFile
from eye.replay.to_sink import ToSink
from eye.replay.to_stream import ToStream
from eye.runs import runs
from eye.runs.errors import ReplayError
from eye.runs.live_lag import MOST_LAG, LiveLine
from eye.runs.plan import Span, plan
from eye.runs.selection import Selection
from eye.runs.targets import Found, Target
from eye.runs.throttle import Pace
from schemas.settings import Settings
from sinks.postgres.pool import Pool, make_pool
from stream.runner.chunk import Chunk
from stream.runner.kafka_reader import Lookup

SINK, STREAM, FILE = "sink", "stream", "file"
"""The targets."""

_STORED_SECONDS = 20.0
"""How long the sinks may take to store what is published already."""

_FETCH_BYTES_BESIDE = 16 * 1024
"""Enough for the single records by which a replay sees whether the live line is behind."""


class Watcher(Protocol):
    """Who is told how it goes."""

    def ask(self, question: str) -> None:
        """Ask whether to go on; raises when the answer is no."""

    def started(self, run: str) -> None:
        """A run has begun, or goes on; it can be resumed by this id."""

    def stage(self, doing: str, records: int) -> None:
        """Something begins that will look at so many offsets."""

    def advance(self, records: int) -> None:
        """So many offsets more are done."""

    def waits(self, waits: bool) -> None:
        """It waits for the live line, or does so no longer."""


class Outcome(msgspec.Struct):
    """What a run came to: how many records were selected, how many rows changed, and the proof."""

    run: str
    target: str
    selected: int
    changed: int
    expected: int
    present: int
    twice: int
    proven: bool


class Replay:
    """Replays on one connection to Kafka and one pool; made by `open_replay`."""

    def __init__(self, settings: Settings, lookup: Lookup, beside: Lookup, pool: Pool, watcher: Watcher) -> None:
        self._settings, self._lookup, self._beside = settings, lookup, beside
        self.pool, self._watcher = pool, watcher

    async def look(self, target_name: str, selection: Selection, options: Mapping[str, Any]) -> Found:
        """Return what a replay would find, and change nothing."""
        target = self._target(target_name, selection, options)
        spans = await self._plan(target_name, selection)
        return await self._look(target, selection, spans, "looking", self._pace(options))

    async def start(self, target_name: str, selection: Selection, options: dict[str, Any]) -> Outcome:
        """Ask, record a new run, and bring it to its end."""
        spans = await self._plan(target_name, selection)
        offsets = sum(span.end - span.start for span in spans)
        if selection.conditions and not await self._takes_any(selection, spans):
            raise ReplayError(f"nothing is selected: no record meets {selection}")
        if target_name != FILE:
            self._watcher.ask(f"Replay {selection}, from up to {offsets:,} records, to {target_name}?")
        run = await runs.begin(self.pool, target_name, selection, options, spans)
        return await self._bring_to_its_end(await runs.get(self.pool, run))

    async def resume(self, run: str) -> Outcome:
        """Go on with a run that was stopped, or whose process died."""
        return await self._bring_to_its_end(await runs.resume(self.pool, run))

    async def _plan(self, target_name: str, selection: Selection) -> list[Span]:
        """Return the offsets that are selected. What the live line has not judged and stored yet is its own."""
        if target_name != STREAM:
            return await plan(self._settings, self._lookup, selection)
        judged = await judged_positions(self._settings)
        spans = await plan(self._settings, self._lookup, selection, until=judged)
        try:
            await wait_until_stored(self._settings, _STORED_SECONDS)
        except NotSettled as late:
            raise ReplayError(f"the sinks are behind, start them or wait until they have caught up: {late}") from late
        return spans

    async def _bring_to_its_end(self, run: runs.Run) -> Outcome:
        self._watcher.started(run.run)
        try:
            outcome = await self._replay(run)
        except BaseException:
            with suppress(psycopg.Error):  # then it stays as it is, and can be resumed all the same
                await runs.end(self.pool, run.run, runs.STOPPED)
            raise
        await runs.end(self.pool, run.run, runs.DONE if outcome.proven else runs.FAILED, outcome)
        return outcome

    async def _replay(self, run: runs.Run) -> Outcome:
        target = self._target(run.target, run.selection, run.options, run.run)
        partitions = await runs.partitions(self.pool, run.run)
        pace, position = self._pace(run.options), runs.RunPosition(run.run)
        self._watcher.stage("replaying", run.records)
        self._watcher.advance(run.read)
        try:
            async for chunk in self._chunks(run.selection, [p.rest for p in partitions], pace):
                await target.replay(chunk, position)
                self._watcher.advance(chunk.next_offset - chunk.start)
        finally:
            await target.close()
        whole = [partition.whole for partition in partitions]
        proof = await target.finish(run.run, whole)
        proof.add(await self._look(target, run.selection, whole, "proving", pace))
        done = await runs.get(self.pool, run.run)
        return Outcome(
            run=run.run,
            target=run.target,
            selected=done.selected,
            changed=done.changed,
            expected=proof.expected,
            present=proof.present,
            twice=proof.twice,
            proven=proof.proves,
        )

    async def _look(self, target: Target, selection: Selection, spans: Iterable[Span], doing: str, pace: Pace) -> Found:
        spans, found = list(spans), Found()
        self._watcher.stage(doing, sum(span.end - span.start for span in spans))
        async for chunk in self._chunks(selection, spans, pace):
            found.add(await target.look(chunk))
            self._watcher.advance(chunk.next_offset - chunk.start)
        return found

    async def _takes_any(self, selection: Selection, spans: Iterable[Span]) -> bool:
        """Tell whether there is a record that is selected; reads up to the first."""
        async with aclosing(self._chunks(selection, spans, Pace())) as chunks:
            async for chunk in chunks:
                if chunk.records:
                    return True
        return False

    async def _chunks(self, selection: Selection, spans: Iterable[Span], pace: Pace) -> AsyncGenerator[Chunk]:
        """Yield the selected records, partition after partition, at a pace."""
        prefix = len(self._settings.topic_prefix)
        await pace.keep(0)
        for span in spans:
            name = span.topic[prefix:]
            try:
                async for chunk in self._lookup.chunks(span.tp, span.start, span.end, pace.chunk_records):
                    records = [record for record in chunk.records if selection.matches(record, name)]
                    yield Chunk(chunk.topic, chunk.partition, chunk.start, chunk.next_offset, records)
                    await pace.keep(len(records))
            except LookupError as error:
                raise ReplayError(str(error)) from error

    def _pace(self, options: Mapping[str, Any]) -> Pace:
        most_lag = options.get("max_lag", MOST_LAG)
        line = LiveLine(self._settings, self._beside, self.pool, most_lag, self._watcher.waits)
        return Pace(options.get("rate"), line)

    def _target(self, name: str, selection: Selection, options: Mapping[str, Any], run: str = "") -> Target:
        if name == FILE:
            return ToFile(self.pool, Path(options.get("path", "")), run, options.get("bytes", 0))
        if name == STREAM:
            return ToStream(self._settings, self.pool, run)
        return ToSink(self._settings, self.pool, everything=selection.all)


@asynccontextmanager
async def open_replay(settings: Settings, watcher: Watcher) -> AsyncIterator[Replay]:
    """Connect to Kafka and Postgres. Raises KafkaError, SettingsError."""
    beside = Lookup(settings, fetch_bytes=_FETCH_BYTES_BESIDE)
    async with make_pool(settings) as pool, Lookup(settings) as lookup, beside:
        yield Replay(settings, lookup, beside, pool, watcher)
