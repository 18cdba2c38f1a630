"""The drills: what each breaks, at moments drawn from its seed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.faults.field import Field

Act = Callable[[Field], None]


@dataclass(frozen=True)
class Drill:
    """What is done while events go through, and to how large a pipeline."""

    name: str
    act: Act
    rate: float = 500
    workers: int = 2
    settings: Mapping[str, Any] = field(default_factory=dict)

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
    for _ in field.times(10, 3):
        field.pipeline.gateway.kill()
        field.moment(0, 1)
        field.pipeline.gateway.start()


@drill("stream-killed")
def stream_killed(field: Field) -> None:
    """kill -9 of one stream worker after the other; each is started again, at once or later."""
    kill_one(field, "stream")


@drill("sinks-killed")
def sinks_killed(field: Field) -> None:
    """kill -9 of one sink worker after the other; each is started again, at once or later."""
    kill_one(field, "sinks")


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


def kill_all(field: Field, stage: str) -> None:
    for _ in field.times(6, 2):
        for worker in field.workers(stage):
            worker.kill()
        field.moment(0, 2)
        for worker in field.workers(stage):
            worker.start()


@drill("kafka-killed")
def kafka_killed(field: Field) -> None:
    """kill -9 of Kafka, whose log has to be recovered; it is started again."""
    for _ in field.times(4, 1):
        field.kafka.kill()
        field.kafka.start()


@drill("kafka-restarted")
def kafka_restarted(field: Field) -> None:
    """Kafka is stopped in good order and started again."""
    for _ in field.times(4, 1):
        field.kafka.stop()
        field.kafka.start()
