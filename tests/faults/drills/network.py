"""Drill that disturbs the connections between our processes and Kafka."""

from __future__ import annotations

import time

from tests.faults.drills.registry import drill
from tests.faults.harness.field import Field


@drill("network-random", through_proxy=True)
def network_random(field: Field) -> None:
    """Reset, delay, swallow and throttle the connections to Kafka at random, for ten minutes."""
    end = time.monotonic() + (45 if field.quick else 600)
    disturbed = 0
    while time.monotonic() < end:
        field.moment(0.2, 3)
        disturb(field)
        field.network.heal()
        disturbed += 1
    field.demand(field.network.resets > 0, f"no connection was reset in {disturbed} disturbances")


def disturb(field: Field) -> None:
    """Have one fault for a while; one of ten black holes is longer than any request may take."""
    network, chance = field.network, field.chance
    match chance.choice(["reset", "reset", "delay", "throttle", "blackhole"]):
        case "reset":
            network.reset()
        case "delay":
            network.delay = chance.uniform(0.01, 0.5)
            field.moment(0.5, 5)
        case "throttle":
            network.throttle = chance.uniform(10_000, 200_000)
            field.moment(0.5, 5)
        case "blackhole":
            network.blackhole = True
            field.moment(0.5, 5)
            if chance.random() < 0.1 and not field.quick:
                field.moment(30, 45)
