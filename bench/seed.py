"""The load of The Eye's first days: 150 users of locust with single events; run by `bench.stages.line`."""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter

from bench.report import Result
from tests.load.__main__ import locust

USERS = 150
FIRST_RATE = 97
"""Requests per second that were answered then."""

P99_MS = 45


def measure(url: str, key: str, *, seconds: int) -> list[Result]:
    """Load a gateway, the same users each time; quantiles are locust's, to the millisecond."""
    command = [*locust(url, users=USERS, spawn_rate=USERS, seconds=seconds), "--reset-stats", "--json", "SingleEvents"]
    done = subprocess.run(
        command, env=os.environ | {"EYE_KEY": key}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False
    )
    entries = json.loads(done.stdout)
    number, failures = (sum(entry[name] for entry in entries) for name in ("num_requests", "num_failures"))
    lasted = max(entry["last_request_timestamp"] for entry in entries) - min(entry["start_time"] for entry in entries)
    times: Counter[float] = Counter()
    for entry in entries:
        times.update({float(ms): count for ms, count in entry["response_times"].items()})
    p50, p99 = _quantile(times, 0.5), _quantile(times, 0.99)
    rate = number / lasted
    return [
        Result(
            "line", f"{USERS} locust users, single events",
            f"{rate:,.0f} requests/s, p50 {p50:.0f} ms, p99 {p99:.0f} ms, {failures} failures",
            f"at first {FIRST_RATE} requests/s", f">= {10 * FIRST_RATE}/s, p99 < {P99_MS} ms, no failure",
            rate >= 10 * FIRST_RATE and p99 < P99_MS and not failures,
            {"locust, requests/s": [rate], "locust, p99 ms": [p99]},
        )
    ]  # fmt: skip


def _quantile(times: Counter[float], share: float) -> float:
    """Return the least time that so large a share of the requests did not exceed."""
    missing = share * times.total()
    for milliseconds, count in sorted(times.items()):
        missing -= count
        if missing <= 0:
            return milliseconds
    raise ValueError("locust has sent nothing")
