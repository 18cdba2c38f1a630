"""The gateway against a bare aiohttp handler: single events, and batches of a hundred."""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from bench.machine import Figure, Machine, eye, running, usage
from bench.report import Result
from eye.local.process import wait_until
from eye.local.remembered_settings import free_port
from eye.operations.keys import add_key
from schemas.settings import Settings

CONNECTIONS = 64


def measure(machine: Machine, *, seconds: float, repeat: int) -> list[Result]:
    """Measure in turn the bare handler and the gateway, single events and batches."""

    def turn() -> tuple[Figure, Figure, Figure, Figure]:
        settings = asyncio.run(machine.settings(gateway_port=free_port()))
        key = add_key(settings.applications_file, "bench", ["write", "read"])
        port = free_port()
        with serving([sys.executable, "-m", "bench.references.bare_server", str(port)], settings, port) as pids:
            bare = loaded(port, key, pids, seconds)
        command = eye("gateway")
        with serving(command, settings, settings.gateway_port) as pids:
            single = loaded(settings.gateway_port, key, pids, seconds)
            batch = loaded(settings.gateway_port, key, pids, seconds, batch=100)
        with serving(command, settings, settings.gateway_port, processes=2) as pids:
            two = loaded(settings.gateway_port, key, pids, seconds)
        return bare, single, batch, two

    bare, single, batch, two = zip(*(machine.calmly(turn) for _ in range(repeat)), strict=True)
    return _results(bare, single, batch, two)


def _results(
    bare: Sequence[Figure], single: Sequence[Figure], batch: Sequence[Figure], two: Sequence[Figure]
) -> list[Result]:
    def median(figures: Sequence[Figure], name: str) -> float:
        return statistics.median(figure[name] for figure in figures)

    rate, limit = median(single, "requests"), median(bare, "requests")
    cpu, bare_cpu = median(single, "cpu_us"), median(bare, "cpu_us")
    events, batch_cpu = median(batch, "events"), median(batch, "cpu_us")
    failures = sum(figure["failures"] for figure in [*single, *batch, *two])
    return [
        Result(
            "gateway", "one event per POST", f"{rate:,.0f}/s", f"bare handler {limit:,.0f}/s",
            f">= 0.65: {rate / limit:.2f}", rate / limit >= 0.65,
            {"gateway, one event/s": [f["requests"] for f in single], "bare handler/s": [f["requests"] for f in bare]},
        ),
        Result(
            "gateway", "CPU of one POST", f"{cpu:.0f} µs", f"bare handler {bare_cpu:.0f} µs",
            f"<= 1.5: {cpu / bare_cpu:.2f}", cpu / bare_cpu <= 1.5,
        ),
        Result(
            "gateway", "two processes, one event per POST", f"{median(two, 'requests'):,.0f}/s",
            f"bare handler {limit:,.0f}/s", f">= 0.91: {median(two, 'requests') / limit:.2f}",
            median(two, "requests") / limit >= 10 / 11,
        ),
        Result(
            "gateway", "batches of 100", f"{events:,.0f} events/s, {batch_cpu:.1f} µs CPU an event",
            f"single {rate:,.0f}/s", f">= 40,000/s and >= 8: {events / rate:.1f}",
            events >= 40_000 and events / rate >= 8,
            {"gateway, batches of 100, events/s": [f["events"] for f in batch]},
        ),
        Result(
            "gateway", "answers of one POST, 64 connections",
            f"p50 {median(single, 'p50_ms'):.1f} ms, p99 {median(single, 'p99_ms'):.1f} ms",
            f"bare p99 {median(bare, 'p99_ms'):.1f} ms", "no failure", failures == 0,
            {"gateway, p99 ms": [f["p99_ms"] for f in single]},
        ),
    ]  # fmt: skip


@contextmanager
def serving(command: Sequence[str], settings: Settings, port: int, *, processes: int = 1) -> Iterator[list[int]]:
    """Run servers on a port, and yield their pids once one answers."""
    with running(settings, *[command] * processes) as pids:
        if not wait_until(lambda: _ready(port), 60):
            raise RuntimeError(f"no server became ready on port {port}")
        yield pids


def _ready(port: int) -> bool:
    """Tell whether a server is ready; the bare one, which has no such route, answers 404."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1) as response:
            return bool(response.status == 200)
    except urllib.error.HTTPError as error:
        return error.code == 404
    except OSError:
        return False


def loaded(port: int, key: str, pids: Sequence[int], seconds: float, *, batch: int = 1) -> Figure:
    """Load a server; CPU is counted from the client's start to its end, over every request it sent."""
    before = sum(usage(pid).cpu for pid in pids)
    figure = load(f"http://127.0.0.1:{port}/events/", key, "--seconds", seconds, "--batch", batch)
    cpu = sum(usage(pid).cpu for pid in pids) - before
    return figure | {"cpu_us": cpu / (figure["sent"] * batch) * 1e6}


def load(url: str, key: str, *arguments: object) -> Figure:
    """Run `bench.http_load` and return its figures."""
    command = [sys.executable, "-m", "bench.http_load", url, key, "--connections", str(CONNECTIONS)]
    done = subprocess.run([*command, *map(str, arguments)], stdout=subprocess.PIPE, text=True, check=True)
    figure: Figure = json.loads(done.stdout)
    return figure
