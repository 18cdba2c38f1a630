"""Replays of all there is beside a live pipeline: are they exact, and how far does it fall behind meanwhile?

python -m tests.faults.replay                       100,000 events, and 200 new ones a second meanwhile
python -m tests.faults.replay --events 10000 --rate 100

One line for each part; the exit code says whether all of it is as promised.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from eye.operations.wait_until_stored import wait_until_stored
from schemas.settings import Settings
from tests.e2e.replays import (
    RIGHT,
    SESSIONS,
    WRONG,
    checksums,
    drop_and_migrate,
    send,
    start_eye,
    until_it_has_read,
    write_rule,
)
from tests.faults.harness.books import check_books
from tests.faults.harness.field import Ground
from tests.faults.harness.lag import LiveLag
from tests.faults.harness.traffic import Traffic
from tests.integration.eye.test_command import Ran
from tests.support.pipeline import Event, Pipeline, numbered_events

MOST_GROWTH = 1.0
"""By so many seconds the live lag may grow."""

_CALM_SECONDS = 5.0
_SETTLE_SECONDS = 120.0
_ALL = ("replay", "--to", "sink", "--all", "--yes", "--json")


@dataclass
class Part:
    """Result of one part; `wrong` says in sentences what is not as promised.

    `lag_before` is how far the live pipeline fell behind without the replay, `lag` with it, both in seconds.
    """

    what: str
    told: str = ""
    seconds: float = 0.0
    lag_before: float = 0.0
    lag: float = 0.0
    begun: float = 0.0
    wrong: list[str] = field(default_factory=list)

    def begin(self) -> None:
        """Note when it began."""
        self.begun = time.monotonic()

    def demand(self, holds: bool, sentence: str) -> None:
        """Note what is wrong unless it holds."""
        if not holds:
            self.wrong.append(sentence)

    def proven(self, ran: Ran) -> None:
        """Demand that a replay has proven itself."""
        proven = ran.returncode == 0 and bool(ran.json["proven"])
        self.demand(proven, f"a replay ended with {ran.returncode}: {ran.stdout} {ran.stderr}")


@dataclass
class Scene:
    """A pipeline through which `events` have gone by a wrong rule, and the rate of those that stream in meanwhile."""

    pipeline: Pipeline
    events: Sequence[Event]
    rate: float

    @property
    def settings(self) -> Settings:
        """The deployment."""
        return self.pipeline.settings

    async def run(self, *arguments: str) -> Ran:
        """Run a command of its own process to its end."""
        process = await start_eye(self.settings, *arguments)
        out, err = await process.communicate()
        return Ran(process.returncode or 0, out.decode(), err.decode())

    @asynccontextmanager
    async def live(self, part: Part) -> AsyncIterator[LiveLag]:
        """Let new events stream in; demand in the end that all are stored, and that the lag has hardly grown."""
        traffic = Traffic(self.pipeline.gateway.url, secrets.randbelow(10**6), self.rate)
        lag = LiveLag(self.settings.dsn)
        traffic.start()
        lag.start()
        await asyncio.sleep(_CALM_SECONDS)
        part.begin()
        await asyncio.sleep(_CALM_SECONDS)
        part.lag_before = lag.worst(part.begun, time.monotonic())
        part.begin()
        yield lag
        part.seconds = time.monotonic() - part.begun
        await lag.calm()
        part.lag = lag.worst(part.begun, time.monotonic())
        lag.finish()
        await asyncio.to_thread(traffic.finish)
        await wait_until_stored(self.settings, _SETTLE_SECONDS)
        growth = part.lag - part.lag_before
        part.demand(growth <= MOST_GROWTH, f"the live lag grew by {growth:.1f} s")
        await asyncio.to_thread(self._count, part, traffic)

    def _count(self, part: Part, traffic: Traffic) -> None:
        with psycopg.connect(self.settings.dsn) as connection:
            rows = connection.execute(
                "select event_id::text from eye.events union all select event_id::text from eye.rejected_events"
            ).fetchall()
        lost = {known.event_id for known in traffic.acknowledged} - {event_id for (event_id,) in rows}
        part.demand(not lost and not traffic.failures, f"{len(lost)} live events are lost; {traffic.failures}")
        part.wrong.extend(check_books(self.settings, len(rows)))


async def rule(scene: Scene) -> Part:
    """Mend a rule that was wrong: what the dry run names is replaced, once."""
    part = Part("a rule is mended")
    stream = scene.pipeline.streams[0]
    write_rule(Path(scene.settings.event_types[0]), RIGHT)
    stream.stop(15)
    stream.start()
    await wait_until_stored(scene.settings, _SETTLE_SECONDS)
    wrong = sum(event["data"]["path"][-1] in "73" for event in scene.events)
    to_stream = ("replay", "--to", "stream", "--all", "--json")
    async with scene.live(part):
        dry = await scene.run(*to_stream, "--dry-run")
        ran = await scene.run(*to_stream, "--yes")
        again = await scene.run(*to_stream, "--yes")
    part.proven(ran)
    part.proven(again)
    numbers = dry.json["changes"], ran.json["changed"], again.json["changed"]
    part.told = "dry run {:,}, run {:,}, again {:,}".format(*numbers)
    part.demand(numbers == (wrong, wrong, 0), f"the rule was wrong for {wrong:,} events")
    return part


async def schema(scene: Scene) -> Part:
    """Drop the schema and make it anew: all rows come back as they were."""

    async def replay() -> Ran:
        return await scene.run(*_ALL)

    return await _lose(scene, Part("the schema is lost"), replay)


async def killed(scene: Scene) -> Part:
    """Do the same, with kill -9 in the middle of the replay, which is resumed."""

    async def replay() -> Ran:
        process = await start_eye(scene.settings, *_ALL)
        run = await until_it_has_read(scene.settings, len(scene.events) // 4)
        process.kill()
        await process.communicate()
        return await scene.run("replay", "resume", run, "--json")

    return await _lose(scene, Part("the replay is killed"), replay)


async def _lose(scene: Scene, part: Part, replay: Callable[[], Awaitable[Ran]]) -> Part:
    """Lose the schema twice: first without a replay, which tells how far it falls behind by that alone."""
    before = checksums(scene.settings)
    async with scene.live(part) as lag:
        await drop_and_migrate(scene.settings)
        await lag.calm()
        part.lag_before = lag.worst(part.begun, time.monotonic())
        part.begin()
        await drop_and_migrate(scene.settings)
        ran = await replay()
    part.proven(ran)
    after = checksums(scene.settings)
    part.told = ", ".join(f"{table} {count:,}" for table, (count, _) in after.items())
    changed = [table for table in before if before[table] != after[table]]
    part.demand(not changed, f"not the same as before: {', '.join(changed)}")
    return part


PARTS: dict[str, Callable[[Scene], Coroutine[Any, Any, Part]]] = {"rule": rule, "schema": schema, "killed": killed}


def deploy(ground: Ground) -> Settings:
    """Make a deployment whose rule for pageviews is wrong."""
    types = ground.directory / "types"
    types.mkdir()
    write_rule(types, WRONG)
    return ground.deployment("replay", event_types=[str(types)])


async def play(settings: Settings, names: Sequence[str], number: int, rate: float) -> bool:
    """Play the parts named, with so many events; returns whether all is as promised."""
    events = list(numbered_events(number, SESSIONS))
    kept = True
    with Pipeline(settings) as pipeline:
        await send(pipeline, events)
        await wait_until_stored(settings, _SETTLE_SECONDS)
        for name in names:
            part = await PARTS[name](Scene(pipeline, events, rate))
            lags = f"live lag at most {part.lag_before:.1f} s without, {part.lag:.1f} s with it"
            print(f"{part.what:20}  {part.seconds:5.1f} s  {lags}  {part.told}", flush=True)
            for sentence in part.wrong:
                print(f"    {sentence}", flush=True)
            kept = kept and not part.wrong
    return kept


def main() -> int:
    """Run what was asked for; returns 0 when all is as promised, 1 otherwise."""
    parser = argparse.ArgumentParser("python -m tests.faults.replay", description="Replay beside a live pipeline.")
    parser.add_argument("--events", type=int, default=100_000, help="how many events are replayed")
    parser.add_argument("--rate", type=float, default=200, help="how many new ones a second stream in meanwhile")
    parser.add_argument("--part", action="append", choices=list(PARTS), help="this part only; can be given again")
    asked = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="eye-replay-"))
    with Ground(directory) as ground:
        kept = asyncio.run(play(deploy(ground), asked.part or list(PARTS), asked.events, asked.rate))
    if kept:
        shutil.rmtree(directory)
    else:
        print(f"Logs and data are in {directory}.")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
