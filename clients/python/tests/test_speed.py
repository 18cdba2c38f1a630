"""The cost of `send` for its caller at 10,000 events a second."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest
from tests.support.pipeline import Pipeline

from clients.python.tests.sending import KEY, PAGE
from eye_client import Eye

RATE = 10_000
SECONDS = 1.5
BUDGET = 20e-6


def cost_of_send(eye: Eye) -> list[float]:
    """Send at the rate; returns the seconds that each call took, sorted."""
    costs, begun = [], time.perf_counter()
    for number in range(int(RATE * SECONDS)):
        while (early := begun + number / RATE - time.perf_counter()) > 0:
            time.sleep(early)
        before = time.perf_counter()
        eye.send("page interaction", "pageview", f"speed-{number % 100}", PAGE)
        costs.append(time.perf_counter() - before)
    assert time.perf_counter() - begun < 2 * SECONDS
    return sorted(costs)


@pytest.mark.parametrize("where", ["memory", "disk"])
def test_send_costs_its_caller_less_than_20_microseconds(the_eye: Pipeline, disk: Path, where: str) -> None:
    best = float("inf")
    for _ in range(5):  # the machine may be busy with others
        with Eye(the_eye.gateway.url, KEY, disk=disk if where == "disk" else None, exit_timeout=60) as eye:
            costs = cost_of_send(eye)
        mean, median, rare = sum(costs) / len(costs), costs[len(costs) // 2], costs[len(costs) * 99 // 100]
        print(f"{where}: mean {mean * 1e6:.1f}, median {median * 1e6:.1f}, 99 % {rare * 1e6:.0f} us", file=sys.stderr)
        assert eye.counts().dropped == {}
        best = min(best, mean)
        if best < BUDGET:
            break

    assert best < BUDGET
