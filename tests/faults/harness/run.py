"""One drill from beginning to end: traffic, faults, healing, proof."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from eye.local.process import wait_until
from eye.operations.wait_until_stored import NotStoredInTime, wait_until_stored
from schemas.settings import Settings
from tests.faults.drills import Drill
from tests.faults.harness.books import check_books
from tests.faults.harness.events import Known
from tests.faults.harness.field import Field, Ground, small_disk
from tests.faults.harness.proof import Proof, prove, unwritten
from tests.faults.harness.traffic import Traffic
from tests.support.pipeline import Pipeline

BROKEN = Path(__file__).with_name("broken.py")

_SETTLE_SECONDS = 180.0
_DRAIN_SECONDS = 40.0


def run_drill(drill: Drill, ground: Ground, seed: int, *, quick: bool = False, broken: str | None = None) -> Proof:
    """Send events while the drill breaks things, wait until all has settled, and prove what came of it.

    `broken` names a fault that is built into the processes, see `broken.py`.
    """
    ground.mend()
    settings = ground.deployment(drill.name, **drill.settings)
    program = (str(BROKEN), broken) if broken else ("-m", "eye")
    disk = small_disk(settings.data_dir / "spool", drill.spool_disk_mib)
    theirs = ground.through_proxy(settings) if drill.through_proxy else settings
    with disk, Pipeline(theirs, streams=drill.workers, sinks=drill.workers, program=program) as pipeline:
        traffic = Traffic(pipeline.gateway.url, seed, drill.rate, gives_up=drill.gives_up)
        field = Field(ground, pipeline, traffic, random.Random(seed), quick)
        traffic.start()
        try:
            drill.act(field)
            field.moment(1, 2)
        finally:
            ground.mend()
            traffic.finish()
        field.wrong.extend(sorted(set(traffic.failures)))
        settle(field)
        proof = prove(settings, traffic.sent)
        proof.wrong.extend(check_books(settings, proof.stored))
        dead = [process.log.name for process in pipeline.processes if not process.running]
        field.demand(not dead, f"ended by itself: {', '.join(dead)}")
    proof.wrong.extend(field.wrong)
    return proof


def settle(field: Field) -> None:
    """Wait until all that was acknowledged has left the spools, is judged, and is stored."""
    settings, sent = field.pipeline.settings, field.traffic.sent
    while left := unwritten(settings, sent):
        if not wait_until(partial(drains, settings, sent, left), _DRAIN_SECONDS):
            break  # the proof tells what is lost
    try:
        asyncio.run(wait_until_stored(settings, _SETTLE_SECONDS))
    except NotStoredInTime as error:
        field.wrong.append(f"not settled after {_SETTLE_SECONDS:.0f} s: {error}")


def drains(settings: Settings, sent: Sequence[Known], before: int) -> bool:
    """Tell whether fewer acknowledged events than before are still on their way to the raw topic."""
    return unwritten(settings, sent) < before
