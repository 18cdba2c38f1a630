"""Throughput of the stages by number of processes and of partitions.

Workers wait for their partitions, do a first few events, and are held while the topic is filled: so all of them
begin at once, and nothing else runs beside them. Their progress is read from the positions they commit.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple

from aiokafka.errors import GroupCoordinatorNotAvailableError

from bench.corpus import events
from bench.fill import Record, raw_records, validated_records, write
from bench.machine import Figure, Machine, eye, running, usage
from bench.progress import WARM_UP
from bench.report import Result
from bench.stages.gateway import loaded, serving
from eye.local.remembered_settings import free_port
from eye.operations.keys import add_key
from eye.operations.topics import connected_admin
from eye.operations.wait_until_stored import Positions, judged_positions, stored_positions
from schemas.settings import Settings
from schemas.topics import topic_names

PROCESSES = (1, 2, 4)
PARTITIONS = (6, 24, 96)
FIRST_EVENTS = 2_000
EVENTS = 80_000
LOAD_SECONDS = 4.0
WARM_UP_SECONDS = 4.0
"""A broker that has just made many partitions is slow for its first seconds with them."""

POLL_SECONDS = 0.05


class Stage(NamedTuple):
    """A kind of worker: its group, its topic with the records to fill it, and the positions that it commits."""

    name: str
    group: Callable[[Settings], str]
    topic: Callable[[Settings], str]
    records: Callable[[int, int], Iterator[Record]]
    """Makes records, by number and seed."""
    positions: Callable[[Settings], Awaitable[Positions]]


STREAM = Stage(
    "stream",
    lambda settings: settings.stream_group,
    lambda settings: topic_names(settings).raw,
    lambda number, seed: raw_records(events(number, seed=seed)),
    judged_positions,
)
SINKS = Stage(
    "sinks",
    lambda settings: settings.sinks_group,
    lambda settings: topic_names(settings).validated,
    lambda number, seed: validated_records(number, seed=seed),
    stored_positions,
)


def measure_processes(machine: Machine) -> list[Result]:
    """Measure one, two and four processes of each stage."""
    return _measure(machine, "processes", PROCESSES)


def measure_partitions(machine: Machine) -> list[Result]:
    """Measure one process of each stage on few and on many partitions."""
    return _measure(machine, "partitions", PARTITIONS)


def _measure(machine: Machine, what: str, numbers: Sequence[int]) -> list[Result]:
    gateways = [_gateway(machine, **{what: number}) for number in numbers]
    workers = {
        stage.name: [_workers(machine, stage, **{what: number}) for number in numbers] for stage in (STREAM, SINKS)
    }
    return _results(what, numbers, gateways, workers)


def _results(
    what: str, numbers: Sequence[int], gateways: Sequence[Figure], workers: dict[str, list[Figure]]
) -> list[Result]:
    def row(stage: str, figures: Sequence[Figure], name: str, unit: str) -> Result:
        rates = [f"{number}: {figure[name]:,.0f}" for number, figure in zip(numbers, figures, strict=True)]
        costs = [f"{number}: {figure[f'{name}_cpu_us']:.1f}" for number, figure in zip(numbers, figures, strict=True)]
        samples = {
            f"{stage}, {number} {what}, {unit}": [figure[name]] for number, figure in zip(numbers, figures, strict=True)
        }
        return Result(
            "growth", f"{stage}, {what}", ", ".join(rates) + f" {unit}", "µs CPU: " + ", ".join(costs), samples=samples
        )

    return [
        row("gateway, single events", gateways, "single", "events/s"),
        row("gateway, batches of 100", gateways, "batches", "events/s"),
        *(row(stage, figures, "rate", "events/s") for stage, figures in workers.items()),
    ]


def _gateway(machine: Machine, *, processes: int = 1, partitions: int = 6) -> Figure:
    settings = asyncio.run(machine.settings(partitions=partitions, gateway_port=free_port()))
    key = add_key(settings.applications_file, "bench", ["write", "read"])
    port = settings.gateway_port
    with serving(eye("gateway"), settings, port, processes=processes) as pids:
        loaded(port, key, pids, WARM_UP_SECONDS)
        single = loaded(port, key, pids, LOAD_SECONDS)
        batches = loaded(port, key, pids, LOAD_SECONDS, batch=100)
    return {
        "single": single["events"],
        "single_cpu_us": single["cpu_us"],
        "batches": batches["events"],
        "batches_cpu_us": batches["cpu_us"],
    }


def _workers(machine: Machine, stage: Stage, *, processes: int = 1, partitions: int = 6) -> Figure:
    settings = asyncio.run(machine.settings(partitions=partitions))
    first, counted = list(stage.records(FIRST_EVENTS, 1)), list(stage.records(EVENTS, 2))
    with running(settings, *[eye(stage.name)] * processes) as pids:
        asyncio.run(_grouped(settings, stage.group(settings), processes))
        asyncio.run(write(settings, stage.topic(settings), first))
        asyncio.run(_progress(settings, stage, pids, FIRST_EVENTS))
        with _held(pids):
            asyncio.run(write(settings, stage.topic(settings), counted))
        samples = asyncio.run(_progress(settings, stage, pids, FIRST_EVENTS + EVENTS))
    begin = next(sample for sample in samples if sample.done >= FIRST_EVENTS + EVENTS * WARM_UP)
    number = samples[-1].done - begin.done
    return {
        "rate": number / (samples[-1].at - begin.at),
        "rate_cpu_us": (samples[-1].cpu - begin.cpu) / number * 1e6,
    }


class Sample(NamedTuple):
    """Number of records done at a time, and the CPU used until then."""

    at: float
    done: int
    cpu: float


async def _progress(settings: Settings, stage: Stage, pids: Sequence[int], number: int) -> list[Sample]:
    """Look at the positions until so many records are done."""
    samples: list[Sample] = []
    topic = stage.topic(settings)
    while not samples or samples[-1].done < number:
        await asyncio.sleep(POLL_SECONDS)
        positions = await stage.positions(settings)
        done = sum(offset for tp, offset in positions.items() if tp.topic == topic)
        samples.append(Sample(time.perf_counter(), done, sum(usage(pid).cpu for pid in pids)))
    return samples


async def _grouped(settings: Settings, group: str, members: int) -> None:
    """Wait until a group has so many members, and each knows its partitions."""
    async with connected_admin(settings) as admin:
        while True:
            with suppress(GroupCoordinatorNotAvailableError):  # a new broker has none before the first group asks
                described = (await admin.describe_consumer_groups([group]))[0].groups[0]
                state, found = described[2], described[5]
                if state == "Stable" and len(found) == members:
                    return
            await asyncio.sleep(POLL_SECONDS)


@contextmanager
def _held(pids: Sequence[int]) -> Iterator[None]:
    """Hold processes, for less than the ten seconds after which Kafka takes them for dead."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
