"""The drills: what each breaks, at moments drawn from its seed."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

import psycopg

from eye.local.kafka import LocalKafka
from eye.local.postgres import LocalPostgres
from eye.local.process import wait_until
from eye.operations.wait_until_stored import Positions, judged_positions, stored_positions
from schemas.topics import topic_names
from tests.faults.harness.field import Field, start
from tests.support.pipeline import EyeProcess, fetch_status

Act = Callable[[Field], None]
Breakable = EyeProcess | LocalKafka | LocalPostgres


@dataclass(frozen=True)
class Drill:
    """What is done while events go through, and to how large a pipeline."""

    name: str
    act: Act
    rate: float = 500
    workers: int = 2
    gives_up: bool = True
    spool_disk_mib: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def hindrance(self) -> str | None:
        """Say why it can't be done here, None when it can."""
        return "only root can mount a small disk" if self.spool_disk_mib and os.geteuid() else None

    @property
    def what(self) -> str:
        """What it does, in a sentence."""
        return (self.act.__doc__ or "").strip().splitlines()[0]


DRILLS: dict[str, Drill] = {}


def drill(name: str, **options: Any) -> Callable[[Act], Act]:
    """Enter a function among the drills."""

    def enter(act: Act) -> Act:
        DRILLS[name] = Drill(name, act, **options)
        return act

    return enter


@drill("calm")
def calm(field: Field) -> None:
    """Nothing breaks; what the others are to be compared with."""
    field.stay(15, 4)


@drill("gateway-killed")
def gateway_killed(field: Field) -> None:
    """kill -9 of the gateway; it is started again."""
    gateway = field.pipeline.gateway
    for _ in field.times(10, 3):
        gateway.kill()
        field.moment(0, 1)
        gateway.start()
        field.back([gateway])


@drill("stream-killed")
def stream_killed(field: Field) -> None:
    """kill -9 of one stream worker after the other; each is started again, at once or later."""
    kill_one(field, "stream")


@drill("sinks-killed")
def sinks_killed(field: Field) -> None:
    """kill -9 of one sink worker after the other; each is started again, at once or later."""
    kill_one(field, "sinks")


@drill("workers-killed", rate=2_000)
def workers_killed(field: Field) -> None:
    """kill -9 of a stream and a sink worker together, five times, while 60,000 events come; they start again."""
    for _ in field.times(5, 2):
        killed = [field.chance.choice(field.workers(stage)) for stage in ("stream", "sinks")]
        for worker in killed:
            worker.kill()
        field.moment(0, 2)
        for worker in killed:
            worker.start()
        field.back(killed)
    number = 6_000 if field.quick else 60_000
    enough = wait_until(lambda: len(field.traffic.sent) >= number, 120)
    field.demand(enough, f"fewer than {number:,} events were sent")


@drill("all-streams-killed")
def all_streams_killed(field: Field) -> None:
    """kill -9 of all stream workers at once; they are started again."""
    kill_all(field, "stream")


@drill("all-sinks-killed")
def all_sinks_killed(field: Field) -> None:
    """kill -9 of all sink workers at once; they are started again."""
    kill_all(field, "sinks")


def kill_one(field: Field, stage: str) -> None:
    for _ in field.times(10, 3):
        worker = field.chance.choice(field.workers(stage))
        worker.kill()
        if field.chance.random() < 0.5:
            field.moment()
        worker.start()
        field.back(field.workers(stage))


def kill_all(field: Field, stage: str) -> None:
    for _ in field.times(6, 2):
        for worker in field.workers(stage):
            worker.kill()
        field.moment(0, 2)
        for worker in field.workers(stage):
            worker.start()
        field.back(field.workers(stage))


@drill("kafka-killed")
def kafka_killed(field: Field) -> None:
    """kill -9 of Kafka, whose log has to be recovered; it is started again."""
    for _ in field.times(4, 1):
        field.kafka.kill()
        start(field.kafka)


@drill("kafka-restarted")
def kafka_restarted(field: Field) -> None:
    """Kafka is stopped in good order and started again."""
    for _ in field.times(4, 1):
        field.kafka.stop()
        start(field.kafka)


@drill("kafka-away")
def kafka_away(field: Field) -> None:
    """Kafka is away for two minutes while 500 events a second go on coming."""
    field.moment()
    field.kafka.stop()
    field.stay(120, 15)
    start(field.kafka)


@drill("spool-full", settings={"spool_max_bytes": 300_000})
def spool_full(field: Field) -> None:
    """Kafka is away until the gateway's spool has reached its bound: from then on it answers with 503."""
    fill_spool(field)


@drill("spool-disk-full", spool_disk_mib=2)
def spool_disk_full(field: Field) -> None:
    """Kafka is away until the disk of the gateway's spool is full: from then on it answers with 503."""
    fill_spool(field)


def fill_spool(field: Field) -> None:
    field.moment()
    field.kafka.kill()
    field.demand(wait_until(lambda: field.traffic.refused > 0, 120), "the spool never became full")
    field.stay(20, 3)
    start(field.kafka)


@drill("postgres-killed")
def postgres_killed(field: Field) -> None:
    """kill -9 of Postgres in the middle of a COPY; it is started again."""
    slow_down_copy(field)
    for _ in field.times(5, 2):
        with psycopg.connect(field.pipeline.settings.dsn, autocommit=True) as connection:
            copying = wait_until(lambda: is_copying(connection), 30)
            field.postgres.kill()
        field.demand(copying, "Postgres was not killed in the middle of a COPY")
        start(field.postgres)


def slow_down_copy(field: Field) -> None:
    """Let each event take a millisecond to store, so that a COPY has a middle."""
    with psycopg.connect(field.pipeline.settings.dsn) as connection:
        connection.execute(
            "create function eye.take_time() returns trigger language plpgsql as"
            " $$ begin perform pg_sleep(0.001); return new; end $$"
        )
        connection.execute(
            "create trigger take_time before insert on eye.events for each row execute function eye.take_time()"
        )


def is_copying(connection: psycopg.Connection) -> bool:
    """Tell whether a COPY into this database's tables has taken some rows, and not all."""
    query = "select from pg_stat_progress_copy where tuples_processed > 0 and datname = current_database()"
    return connection.execute(query).fetchone() is not None


@drill("postgres-away")
def postgres_away(field: Field) -> None:
    """Postgres is away for two minutes while events go on coming."""
    field.moment()
    field.postgres.stop()
    field.stay(120, 15)
    start(field.postgres)


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


@drill("workers-come-and-go")
def workers_come_and_go(field: Field) -> None:
    """Stream and sink workers are added and removed every few seconds, some in good order, some by kill -9."""
    for _ in field.times(25, 4):
        workers = field.workers(field.chance.choice(["stream", "sinks"]))
        if len(workers) > 1 and (len(workers) > 3 or field.chance.random() < 0.5):
            remove(field, workers)
        else:
            workers.append(field.pipeline.make(workers[0].stage))
            workers[-1].start()


def remove(field: Field, workers: list[EyeProcess]) -> None:
    worker = workers.pop(field.chance.randrange(len(workers)))
    if field.chance.random() < 0.5:
        worker.kill()
    else:
        stop_cleanly(field, worker)


def stop_cleanly(field: Field, process: EyeProcess) -> None:
    """Stop a process; one that is still being loaded, and has said nothing yet, ends as any program does."""
    process.stop(15)
    code = process.exit_code()
    being_loaded = code == -signal.SIGTERM and not process.log.stat().st_size
    field.demand(code == 0 or being_loaded, f"{process.log.name} ended with {code} at SIGTERM")


@drill("rolling-restart", gives_up=False)
def rolling_restart(field: Field) -> None:
    """SIGTERM to each process under load, one after the other, each replaced: no request fails."""
    pipeline = field.pipeline
    for _ in field.times(3, 1):
        old, pipeline.gateway = pipeline.gateway, pipeline.make("gateway", port=pipeline.gateway.port)
        pipeline.gateway.start()
        field.demand(wait_until(lambda: both_are_ready(pipeline.gateway), 60), "the new gateway was never ready")
        stop_cleanly(field, old)
        for worker in [*pipeline.streams, *pipeline.sinks]:
            stop_cleanly(field, worker)
            worker.start()
            field.moment(0.5, 2)
    field.demand(field.traffic.refused == 0, f"{field.traffic.refused} requests were answered with 503")


def both_are_ready(gateway: EyeProcess) -> bool:
    """Tell whether a gateway and the one it shares its port with are ready: who answers is left to chance."""
    listens = gateway.log.exists() and "listening on" in gateway.log.read_text()
    return listens and all(fetch_status(f"{gateway.url}/readyz") == 200 for _ in range(20))


@drill("clock-wrong")
def clock_wrong(field: Field) -> None:
    """The sender's clock is an hour fast, then twenty years slow: the first is rejected, the second is taken."""
    for skew in (timedelta(hours=1), timedelta(days=-20 * 365), timedelta()):
        field.moment()
        field.traffic.skew = skew
        field.stay(10, 2)


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
