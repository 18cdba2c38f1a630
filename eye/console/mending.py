"""Mending of rejected events: a selection, steps, a dry run, and a redrive, confirmed by its number of events."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from eye.console.desk import Desk
from eye.console.jobs import Job
from eye.console.visitors import NotAllowed, Visitor
from eye.operations.clusters import demand_own_cluster
from eye.redrive.run import Redrive
from eye.redrive.transform import Step
from eye.runs.lifecycle import Outcome, Watcher
from eye.runs.selection import Selection
from eye.runs.targets import CheckResult
from sinks.postgres.pool import make_pool

_TRIED = ("rejected -> accepted", "rejected -> rejected")


@dataclass(frozen=True, slots=True)
class Group:
    """Rejected events with a code, of an event type as far as it could be read, received in a span of time."""

    code: str
    category: str | None
    name: str | None
    begin: datetime | None
    end: datetime

    @property
    def selection(self) -> Selection:
        """The events as a redrive selects them: where no type could be read, those of any type."""
        return Selection(
            topics=("rejected events",),
            code=self.code,
            category=self.category,
            name=self.name,
            from_time=self.begin,
            to_time=self.end,
        )


async def dry_run(desk: Desk, group: Group, steps: Sequence[Step]) -> CheckResult:
    """Return what would become of the group, and change nothing. Raises ReplayError."""
    await demand_own_cluster(desk.settings)
    async with make_pool(desk.settings) as pool:
        return await Redrive(desk.settings, pool, Job()).check(group.selection, steps)


def number_tried(found: CheckResult) -> int:
    """Return how many events a redrive would try, by its dry run."""
    return sum(found.kinds[kind] for kind in _TRIED)


async def apply(desk: Desk, visitor: Visitor, group: Group, steps: Sequence[Step], number: int, typed: str) -> Job:
    """Begin the redrive that a dry run was made of; raises NotAllowed unless its number of events was typed in."""
    if typed.strip().replace(",", "") != str(number):
        raise NotAllowed(f"Type the number of events that will be tried, {number:,}, to confirm.")
    options = {"by": f"console: {visitor.application}, key {visitor.fingerprint}"}

    async def work(watcher: Watcher) -> Outcome:
        async with make_pool(desk.settings) as pool:
            return await Redrive(desk.settings, pool, watcher).start(group.selection, steps, options)

    return desk.jobs.start(visitor, f"redrive of {group.selection}", work)


def pointer_of(path: str) -> str:
    """Return a plain JSON path as JSON pointer, `$.data.path` as /data/path; /data where it is not plain."""
    if not re.fullmatch(r"\$(\.\w+|\[\d+\])+", path):
        return "/data"
    return "".join(f"/{dotted or index}" for dotted, index in re.findall(r"\.(\w+)|\[(\d+)\]", path))
