"""Drills that freeze a worker until others have its partitions."""

from __future__ import annotations

import asyncio
from functools import partial

from eye.local.process import wait_until
from eye.operations.wait_until_stored import Positions, judged_positions, stored_positions
from schemas.topics import topic_names
from tests.faults.drills.registry import drill
from tests.faults.harness.field import Field


@drill("stream-frozen")
def stream_frozen(field: Field) -> None:
    """SIGSTOP of a stream worker until the others have its partitions, then SIGCONT: it wakes up as a zombie."""
    freeze(field, "stream")


@drill("sinks-frozen")
def sinks_frozen(field: Field) -> None:
    """SIGSTOP of a sink worker until the others have its partitions, then SIGCONT: it wakes up as a zombie."""
    freeze(field, "sinks")


def freeze(field: Field, stage: str) -> None:
    for _ in field.times(4, 1):
        wait_until(partial(goes_on, field, stage, positions(field, stage)), 60)
        field.moment(0, 1)
        worker = field.chance.choice(field.workers(stage))
        worker.pause()
        moved = wait_until(partial(goes_on, field, stage, positions(field, stage)), 180)
        field.demand(moved, f"nobody took over from {worker.log.name} while it was frozen")
        field.moment()
        worker.resume()


def goes_on(field: Field, stage: str, before: Positions) -> bool:
    """Tell whether a stage has gone on in every partition since."""
    now = positions(field, stage)
    return bool(now) and all(at > before.get(tp, 0) for tp, at in now.items())


def positions(field: Field, stage: str) -> Positions:
    """Return how far a stage has come in each partition of what all events go through: raw, or validated."""
    settings = field.pipeline.settings
    if stage == "stream":
        return asyncio.run(judged_positions(settings))
    stored = asyncio.run(stored_positions(settings))
    return {tp: at for tp, at in stored.items() if tp.topic == topic_names(settings).validated}
