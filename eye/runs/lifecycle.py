"""Life of a run: observed by a watcher, recorded at its end, resumable until then."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol

import msgspec
import psycopg

from eye.runs import runs
from eye.runs.claims import signs_of_life
from sinks.postgres.pool import Pool


class Watcher(Protocol):
    """Observer of a run: asks, and shows its progress."""

    def ask(self, question: str) -> None:
        """Ask whether to go on; raises when the answer is no."""

    def started(self, run: str) -> None:
        """Take the id of a run that has begun or goes on; it can be resumed by it."""

    def stage(self, doing: str, records: int) -> None:
        """Begin a stage of that many records."""

    def advance(self, records: int) -> None:
        """Count records as done."""

    def waits(self, waits: bool) -> None:
        """Begin (True) or end (False) a wait for the live pipeline."""


class Outcome(msgspec.Struct):
    """Result of a run: selected records, changed rows, and the proof."""

    run: str
    target: str
    selected: int
    changed: int
    expected: int
    present: int
    twice: int
    proven: bool


async def complete_run(pool: Pool, run: str, watcher: Watcher, work: Callable[[], Awaitable[Outcome]]) -> Outcome:
    """Do a run's work and record its outcome; a run that is cut off is recorded as stopped and can be resumed.

    Raises whatever the work raises.
    """
    watcher.started(run)
    try:
        async with signs_of_life(pool, run):
            outcome = await work()
    except BaseException:
        with suppress(psycopg.Error):  # then it stays as it is, and can be resumed all the same
            await runs.end(pool, run, runs.STOPPED)
        raise
    await runs.end(pool, run, runs.DONE if outcome.proven else runs.FAILED, outcome)
    return outcome
