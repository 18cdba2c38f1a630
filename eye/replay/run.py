"""One replay from its plan to its proof."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

from eye.operations.wait_until_stored import NotStoredInTime, judged_positions, wait_until_verdicts_stored
from eye.replay.to_file import ToFile
from eye.replay.to_sink import ToSink
from eye.replay.to_stream import ToStream
from eye.runs import runs
from eye.runs.errors import ReplayError
from eye.runs.lifecycle import Outcome, Watcher, complete_run
from eye.runs.live_lag import MOST_LAG, LiveLag
from eye.runs.plan import Span, plan
from eye.runs.selection import Selection
from eye.runs.targets import CheckResult, Target
from eye.runs.throttle import Throttle
from schemas.settings import Settings
from sinks.postgres.pool import Pool, make_pool
from stream.runner.chunk import Chunk
from stream.runner.kafka_reader import Lookup

SINK, STREAM, FILE = "sink", "stream", "file"
"""The targets."""

_STORED_SECONDS = 20.0
"""Seconds that the sinks may take to store what is published already."""

_LIVE_FETCH_BYTES = 16 * 1024
"""Fetch size of the single records by which a replay sees whether the live pipeline is behind."""


class Replay:
    """Replays on one connection to Kafka and one pool; made by `open_replay`."""

    def __init__(self, settings: Settings, lookup: Lookup, live_lookup: Lookup, pool: Pool, watcher: Watcher) -> None:
        self._settings, self._lookup, self._live_lookup = settings, lookup, live_lookup
        self.pool, self._watcher = pool, watcher

    async def check(self, target_name: str, selection: Selection, options: Mapping[str, Any]) -> CheckResult:
        """Return what a replay would find, and change nothing."""
        target = self._target(target_name, selection, options)
        spans = await self._plan(target_name, selection)
        return await self._check(target, selection, spans, "checking", self._throttle(options))

    async def start(self, target_name: str, selection: Selection, options: dict[str, Any]) -> Outcome:
        """Ask, record a new run, and bring it to its end."""
        spans = await self._plan(target_name, selection)
        offsets = sum(span.end - span.start for span in spans)
        if selection.conditions and not await self._selects_any(selection, spans):
            raise ReplayError(f"nothing is selected: no record meets {selection}")
        if target_name != FILE:
            self._watcher.ask(f"Replay {selection}, from up to {offsets:,} records, to {target_name}?")
        run = await runs.begin(self.pool, target_name, selection, options, spans)
        return await self._complete(await runs.get(self.pool, run))

    async def resume(self, run: str) -> Outcome:
        """Go on with a run that was stopped, or whose process died."""
        return await self._complete(await runs.resume(self.pool, run))

    async def _plan(self, target_name: str, selection: Selection) -> list[Span]:
        """Return the selected offsets; for today's rules, those that the live pipeline has judged and stored."""
        if target_name != STREAM:
            return await plan(self._settings, self._lookup, selection)
        judged = await judged_positions(self._settings)
        spans = await plan(self._settings, self._lookup, selection, until=judged)
        try:
            await wait_until_verdicts_stored(self._settings, _STORED_SECONDS)
        except NotStoredInTime as late:
            raise ReplayError(f"the sinks are behind, start them or wait until they have caught up: {late}") from late
        return spans

    async def _complete(self, run: runs.Run) -> Outcome:
        return await complete_run(self.pool, run.run, self._watcher, lambda: self._replay(run))

    async def _replay(self, run: runs.Run) -> Outcome:
        target = self._target(run.target, run.selection, run.options, run.run)
        partitions = await runs.partitions(self.pool, run.run)
        throttle, position = self._throttle(run.options), runs.RunPosition(run.run)
        self._watcher.stage("replaying", run.records)
        self._watcher.advance(run.read)
        try:
            async for chunk in self._chunks(run.selection, [p.rest for p in partitions], throttle):
                await target.replay(chunk, position)
                self._watcher.advance(chunk.next_offset - chunk.start)
        finally:
            await target.close()
        whole = [partition.whole for partition in partitions]
        proof = await target.finish(run.run, whole)
        proof.add(await self._check(target, run.selection, whole, "proving", throttle))
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

    async def _check(
        self, target: Target, selection: Selection, spans: Iterable[Span], doing: str, throttle: Throttle
    ) -> CheckResult:
        spans, found = list(spans), CheckResult()
        self._watcher.stage(doing, sum(span.end - span.start for span in spans))
        async for chunk in self._chunks(selection, spans, throttle):
            found.add(await target.check(chunk))
            self._watcher.advance(chunk.next_offset - chunk.start)
        return found

    async def _selects_any(self, selection: Selection, spans: Iterable[Span]) -> bool:
        """Tell whether there is a record that is selected; reads up to the first."""
        async with aclosing(self._chunks(selection, spans, Throttle())) as chunks:
            async for chunk in chunks:
                if chunk.records:
                    return True
        return False

    async def _chunks(self, selection: Selection, spans: Iterable[Span], throttle: Throttle) -> AsyncGenerator[Chunk]:
        """Yield the selected records, partition after partition, at a throttle."""
        prefix = len(self._settings.topic_prefix)
        await throttle.wait(0)
        for span in spans:
            name = span.topic[prefix:]
            try:
                async for chunk in self._lookup.chunks(span.tp, span.start, span.end, throttle.chunk_records):
                    records = [record for record in chunk.records if selection.matches(record, name)]
                    yield Chunk(chunk.topic, chunk.partition, chunk.start, chunk.next_offset, records)
                    await throttle.wait(len(records))
            except LookupError as error:
                raise ReplayError(str(error)) from error

    def _throttle(self, options: Mapping[str, Any]) -> Throttle:
        most_lag = options.get("max_lag", MOST_LAG)
        live_lag = LiveLag(self._settings, self._live_lookup, self.pool, most_lag, self._watcher.waits)
        return Throttle(options.get("rate"), live_lag)

    def _target(self, name: str, selection: Selection, options: Mapping[str, Any], run: str = "") -> Target:
        if name == FILE:
            return ToFile(self.pool, Path(options.get("path", "")), run, options.get("bytes", 0))
        if name == STREAM:
            return ToStream(self._settings, self.pool, run)
        return ToSink(self._settings, self.pool, everything=selection.all)


@asynccontextmanager
async def open_replay(settings: Settings, watcher: Watcher) -> AsyncIterator[Replay]:
    """Connect to Kafka and Postgres. Raises KafkaError, SettingsError."""
    async with (
        make_pool(settings) as pool,
        Lookup(settings) as lookup,
        Lookup(settings, fetch_bytes=_LIVE_FETCH_BYTES) as live_lookup,
    ):
        yield Replay(settings, lookup, live_lookup, pool, watcher)
