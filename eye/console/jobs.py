"""Runs that somebody started in the console: they go on when the page is closed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from eye.console.visitors import Visitor, audit
from eye.operations.clusters import demand_own_cluster
from eye.runs.lifecycle import Outcome, Watcher
from schemas.settings import Settings

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Job:
    """A run that is watched: its id, how far it is, and how it ended."""

    run: str | None = None
    doing: str = "starting"
    total: int = 0
    done: int = 0
    waiting: bool = False
    outcome: Outcome | None = None
    fault: str | None = None

    @property
    def is_over(self) -> bool:
        """True when the run has ended, well or not."""
        return self.outcome is not None or self.fault is not None

    def ask(self, question: str) -> None:
        """Go on: whoever started it has confirmed it by the number of events."""

    def started(self, run: str) -> None:
        """Take the id of the run."""
        self.run = run

    def stage(self, doing: str, records: int) -> None:
        """Begin a stage."""
        self.doing, self.total, self.done = doing, records, 0

    def advance(self, records: int) -> None:
        """Count records as done."""
        self.done += records

    def waits(self, waits: bool) -> None:
        """Take that the run waits for the live pipeline, or goes on."""
        self.waiting = waits

    def __str__(self) -> str:
        run = f"run {self.run}: " if self.run else ""
        if self.fault is not None:
            return f"{run}failed: {self.fault}"
        if self.outcome is not None:
            proof = "proven" if self.outcome.proven else "NOT PROVEN"
            return (
                f"{run}done, {self.outcome.selected:,} tried, {self.outcome.changed:,} became events;"
                f" rows expected {self.outcome.expected:,}, present {self.outcome.present:,},"
                f" twice {self.outcome.twice:,}: {proof}"
            )
        waits = ", waits for the live pipeline" if self.waiting else ""
        return f"{run}{self.doing}, {self.done:,} of {self.total:,} events{waits}"


class Jobs:
    """The runs under way in this process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, visitor: Visitor, what: str, work: Callable[[Watcher], Awaitable[Outcome]]) -> Job:
        """Begin a run for somebody who may; what is done is logged with their key's fingerprint."""
        job = Job()
        task = asyncio.create_task(self._run(visitor, what, work, job))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return job

    async def stop(self) -> None:
        """Cut off what runs; it is recorded as stopped and can be resumed."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self, visitor: Visitor, what: str, work: Callable[[Watcher], Awaitable[Outcome]], job: Job) -> None:
        audit(visitor, f"{what} begins")
        try:
            await demand_own_cluster(self._settings)
            job.outcome = await work(job)
        except Exception as error:
            log.warning("console: %s failed", what, exc_info=True)
            job.fault = str(error) or type(error).__name__
        audit(visitor, f"{what} ends: {job}")
