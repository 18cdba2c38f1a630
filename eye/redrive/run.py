"""One redrive: judge the selected rejected events again, and publish the verdicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from psycopg import AsyncConnection

from eye.redrive.rejected import RejectedEvent, count_by_partition, next_batch, record_attempts, retry_of
from eye.redrive.transform import Step
from eye.runs import runs
from eye.runs.errors import ReplayError
from eye.runs.lifecycle import Outcome, Watcher, complete_run
from eye.runs.rejudging import Rejudged, Rejudger, VerdictPublisher
from eye.runs.selection import Selection
from eye.runs.targets import CheckResult
from eye.runs.throttle import Throttle
from schemas.session_clocks import FirstEventDecides
from schemas.settings import Settings
from schemas.topics import topic_names
from schemas.verdict import Accepted
from sinks.postgres.pool import Pool, lend
from sinks.tables.corrections import lock_verdicts, replace_verdicts

REDRIVE = "redrive"
"""Target that a run of this kind is recorded with, beside the targets of replays."""

_PROOF = """
select (select count(*) from eye.redrive_attempts where last_run = %(run)s), count(*), count(copies.number),
    count(*) filter (where copies.number > 1)
from eye.replaced_verdicts replaced
left join lateral (
    select nullif(count(*), 0) as number from eye.event_keys key
    join eye.events event using (event_id, application, occurred_at)
    where key.event_id = replaced.event_id and key.application = replaced.application
) copies on true
where replaced.run = %(run)s
"""


class Redrive:
    """Redrives through one pool."""

    def __init__(self, settings: Settings, pool: Pool, watcher: Watcher) -> None:
        self._settings, self._pool, self._watcher = settings, pool, watcher
        self._raw = topic_names(settings).raw

    async def check(self, selection: Selection, steps: Sequence[Step]) -> CheckResult:
        """Return the results that the selected events would have, and change nothing."""
        rejudger, found = Rejudger(self._settings, "", redrive=True), CheckResult()
        counts = await self._plan(selection)
        self._watcher.stage("checking", sum(tried for _, tried, _ in counts))
        found.kinds["tried often enough"] += sum(exhausted for _, _, exhausted in counts)
        for partition, _, _ in counts:
            offset = 0
            while batch := await self._batch(selection, "", partition, offset, Throttle().chunk_records):
                for event, judged in zip(batch, self._judge(batch, steps, rejudger), strict=True):
                    found.add(_example(event, judged, bool(steps)))
                found.sample = _one_of_each(found.sample)
                self._watcher.advance(len(batch))
                offset = batch[-1].source_offset + 1
        return found

    async def start(self, selection: Selection, steps: Sequence[Step], options: dict[str, Any]) -> Outcome:
        """Ask, record a new run, and bring it to its end."""
        counts = await self._plan(selection)
        number = sum(tried for _, tried, _ in counts)
        if not number:
            raise ReplayError("each of the selected events has been tried often enough")
        self._watcher.ask(f"Try {number:,} rejected events again?")
        kept = options | {"steps": msgspec.to_builtins(list(steps))}
        return await self._complete(await runs.begin(self._pool, REDRIVE, selection, kept, []))

    async def resume(self, run: str) -> Outcome:
        """Go on with a run that was stopped, or whose process died."""
        await runs.resume(self._pool, run)
        return await self._complete(run)

    async def _plan(self, selection: Selection) -> list[tuple[int, int, int]]:
        async with lend(self._pool) as connection:
            counts = await count_by_partition(connection, selection)
        if not counts:
            raise ReplayError(f"nothing is selected: no rejected event is left in {selection}")
        return counts

    async def _complete(self, run: str) -> Outcome:
        return await complete_run(self._pool, run, self._watcher, lambda: self._publish_and_redrive(run))

    async def _publish_and_redrive(self, run: str) -> Outcome:
        publisher = VerdictPublisher(self._settings, run)
        try:
            return await self._redrive(await runs.get(self._pool, run), publisher)
        finally:
            await publisher.close()

    async def _redrive(self, run: runs.Run, publisher: VerdictPublisher) -> Outcome:
        rejudger = Rejudger(self._settings, run.run, redrive=True)
        steps = msgspec.convert(run.options.get("steps", []), list[Step])
        throttle = Throttle(run.options.get("rate"))
        async with lend(self._pool) as connection:
            counts = await count_by_partition(connection, run.selection)
        self._watcher.stage("redriving", sum(tried for _, tried, _ in counts))
        for partition, _, _ in counts:
            await publisher.open(partition)
            while done := await self._redrive_batch(run, partition, throttle.chunk_records, steps, rejudger, publisher):
                self._watcher.advance(done)
                await throttle.wait(done)
        return await self._outcome(run.run)

    async def _redrive_batch(
        self,
        run: runs.Run,
        partition: int,
        limit: int,
        steps: Sequence[Step],
        rejudger: Rejudger,
        publisher: VerdictPublisher,
    ) -> int:
        """Try the next events of a partition, all or nothing; returns how many there were."""
        async with lend(self._pool) as connection, connection.transaction():
            await runs.still_running(connection, run.run)
            await lock_verdicts(connection, partition, exclusive=True)
            batch = await next_batch(connection, run.selection, run.run, partition, 0, limit)
            if batch:
                judged = self._judge(batch, steps, rejudger)
                passed = [one for one in judged if isinstance(one.verdict, Accepted)]
                await record_attempts(connection, run.run, batch)
                await publisher.publish(passed, batch[-1].source_offset + 1)
                await replace_verdicts(connection, [one.row for one in passed])
        return len(batch)

    def _judge(self, batch: Sequence[RejectedEvent], steps: Sequence[Step], rejudger: Rejudger) -> list[Rejudged]:
        """Judge rejected events again, by the clock offsets that their sessions had."""
        known = {event.session_id: event.clock_offset_ms for event in batch if event.session_id is not None}
        clocks = FirstEventDecides(rejudger.rules.clock_skew, known)
        return [rejudger.judge(retry_of(event, self._raw, steps), clocks) for event in batch]

    async def _batch(
        self, selection: Selection, run: str, partition: int, offset: int, limit: int
    ) -> list[RejectedEvent]:
        async with lend(self._pool) as connection:
            return await next_batch(connection, selection, run, partition, offset, limit)

    async def _outcome(self, run: str) -> Outcome:
        async with lend(self._pool) as connection:
            tried, expected, present, twice = await _proof(connection, run)
        return Outcome(
            run=run,
            target=REDRIVE,
            selected=tried,
            changed=expected,
            expected=expected,
            present=present,
            twice=twice,
            proven=expected == present and not twice,
        )


def end_of_selection(moment: datetime | None) -> datetime:
    """Return the end of the selected times; events rejected while a run goes on are not its own."""
    return moment or datetime.now(UTC)


async def _proof(connection: AsyncConnection, run: str) -> tuple[int, int, int, int]:
    row = await (await connection.execute(_PROOF, {"run": run})).fetchone()
    assert row is not None
    tried, expected, present, twice = row
    return tried, expected, present, twice


def _one_of_each(samples: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the first event of each outcome, so that none is hidden behind many of another."""
    first: dict[tuple[str, ...], dict[str, Any]] = {}
    for sample in samples:
        first.setdefault((sample["becomes"], *sample.get("codes_now", ())), sample)
    return list(first.values())


def _example(event: RejectedEvent, judged: Rejudged, transformed: bool) -> CheckResult:
    accepted = isinstance(judged.verdict, Accepted)
    example: dict[str, Any] = {
        "event_id": event.event_id,
        "application": event.application,
        "codes": event.codes,
        "becomes": "accepted" if accepted else "rejected",
    }
    if not isinstance(judged.verdict, Accepted):
        example["codes_now"] = judged.verdict.codes
        example["errors_now"] = msgspec.to_builtins(judged.verdict.errors)
    if transformed:
        example |= {"before": event.raw, "after": (judged.raw.value or b"").decode("utf-8", "replace")}
    kinds = Counter({"rejected -> accepted": 1} if accepted else {"rejected -> rejected": 1})
    return CheckResult(kinds, expected=1, missing=int(accepted), sample=[example])
