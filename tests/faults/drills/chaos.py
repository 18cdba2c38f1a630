"""Drill that breaks several things at once, at random."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

from eye.local.kafka import LocalKafka
from eye.local.postgres import LocalPostgres
from tests.faults.drills.registry import drill
from tests.faults.harness.field import Field, start
from tests.support.pipeline import EyeProcess

Breakable = EyeProcess | LocalKafka | LocalPostgres


@drill("chaos")
def chaos(field: Field) -> None:
    """All of it at random, several things at once, for ten minutes."""
    end = time.monotonic() + (60 if field.quick else 600)
    broken: list[Breakable] = []
    while time.monotonic() < end:
        field.moment(0.5, 5)
        if broken and field.chance.random() < 0.5:
            heal(field, broken.pop(field.chance.randrange(len(broken))))
        else:
            broken.append(break_something(field))
    for process in broken:
        heal(field, process)


def break_something(field: Field) -> Breakable:
    """Break a process, of the servers more rarely than of ours, and return it."""
    servers: list[Breakable] = [field.kafka, field.postgres]
    process = field.chance.choice([*field.pipeline.processes * 2, *servers])
    ways: list[Callable[[], None]] = [process.kill, process.pause, partial(process.stop, 15)]
    field.chance.choice(ways)()
    if process is field.pipeline.gateway:
        field.traffic.expect_silence()
    return process


def heal(field: Field, process: Breakable) -> None:
    """Let a process run again, whatever was done to it meanwhile."""
    if process.running:
        process.resume()
    elif isinstance(process, EyeProcess):
        process.start()
    else:
        start(process)
    if process is field.pipeline.gateway:
        field.traffic.expect_answers()
