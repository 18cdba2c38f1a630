"""Drills that kill, restart, add and remove our processes."""

from __future__ import annotations

import signal
from datetime import timedelta

from eye.local.process import wait_until
from tests.faults.drills.registry import drill
from tests.faults.harness.field import Field
from tests.support.pipeline import EyeProcess, fetch_status


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
    """Set the sender's clock an hour fast, then twenty years slow: the first is rejected, the second is taken."""
    for skew in (timedelta(hours=1), timedelta(days=-20 * 365), timedelta()):
        field.moment()
        field.traffic.skew = skew
        field.stay(10, 2)
