"""The whole pipeline, from POST to row: its rate for minutes, the time of an event, its CPU when idle, its start."""

from __future__ import annotations

import asyncio
import statistics
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from itertools import islice
from threading import Thread

import aiohttp
import psycopg

from bench import seed
from bench.corpus import events
from bench.machine import Figure, Machine, eye, running, usage
from bench.report import Result
from bench.stages.gateway import load, serving
from eye.local.remembered_settings import free_port
from eye.operations.keys import add_key
from eye.operations.wait_until_stored import wait_until_stored
from schemas.settings import Settings

RATE = 8_000
PROBE_RATE = 1_000
PROBE_SECONDS, QUICK_PROBE_SECONDS = 30.0, 4.0
PROBE_INTERVAL = 0.05
WARM_UP_SECONDS = 5.0
POLL_SECONDS = 0.01


def measure(machine: Machine, *, seconds: float, quick: bool) -> list[Result]:
    """Measure the pipeline idle, under a light load for its latency, and under a heavy one for its endurance."""
    settings = asyncio.run(machine.settings(gateway_port=free_port()))
    key = add_key(settings.applications_file, "bench", ["write", "read"])
    gateway = f"http://127.0.0.1:{settings.gateway_port}"
    url = f"{gateway}/events/"
    with _line(settings, url, key) as (pids, first_row):
        asyncio.run(wait_until_stored(settings))
        idle = _cpu_share(pids, 3.0 if quick else 30.0)
        latencies = _latencies(settings, url, key, QUICK_PROBE_SECONDS if quick else PROBE_SECONDS)
        locust = seed.measure(gateway, key, seconds=5 if quick else 30)
        asyncio.run(wait_until_stored(settings, 600))
        before = [usage(pid).peak_rss_mib for pid in pids]
        half = _sustained(settings, url, key, seconds / 2)
        middle = [usage(pid).peak_rss_mib for pid in pids]
        whole = _sustained(settings, url, key, seconds / 2)
        after = [usage(pid).peak_rss_mib for pid in pids]
    p50, p99 = (statistics.quantiles(latencies, n=100)[percent] * 1000 for percent in (49, 98))
    grown = sum(after) / sum(middle)
    steady = whole["behind_s"] < max(2.0, 2 * half["behind_s"])
    return [
        *locust,
        Result(
            "start", "stream and sinks, from their start to the first row", f"{first_row:.1f} s", "",
            "<= 10 s", first_row <= 10,
        ),
        Result("line", "idle, CPU of gateway, stream and sinks", f"{idle:.1%}", "", "< 3 %", idle < 0.03),
        Result(
            "line", f"from POST to row, at {PROBE_RATE:,} events/s", f"p50 {p50:.0f} ms, p99 {p99:.0f} ms", "",
            "p50 < 150, p99 < 500", p50 < 150 and p99 < 500,
            {"POST to row, p50 ms": [p50], "POST to row, p99 ms": [p99]},
        ),
        Result(
            "line", f"sustained, {seconds:.0f} s", f"{whole['events']:,.0f} events/s",
            f"behind at the end {half['behind_s']:.1f} s, then {whole['behind_s']:.1f} s",
            f">= {RATE:,}/s, lag not growing", whole["events"] >= 0.99 * RATE and steady and not whole["failures"],
            {"whole line, events/s": [half["events"], whole["events"]]},
        ),
        Result(
            "line", "peak RSS of the three", f"{sum(after):.0f} MiB",
            f"before {sum(before):.0f}, after half {sum(middle):.0f}", "grows < 10 % in the second half", grown < 1.1,
        ),
    ]  # fmt: skip


@contextmanager
def _line(settings: Settings, url: str, key: str) -> Iterator[tuple[list[int], float]]:
    """Run a gateway, and then a stream and a sink worker, for whom events wait.

    Yields the pids, and the seconds from the start of the workers to the first row.
    """
    with serving(eye("gateway"), settings, settings.gateway_port) as pids:
        load(url, key, "--seconds", 1, "--rate", 100)
        begin = time.monotonic()
        with running(settings, eye("stream"), eye("sinks")) as workers:
            while not _stored(settings):
                time.sleep(POLL_SECONDS)
            yield [*pids, *workers], time.monotonic() - begin


def _stored(settings: Settings) -> bool:
    with psycopg.connect(settings.dsn) as connection:
        return connection.execute("select 1 from eye.events limit 1").fetchone() is not None


def _cpu_share(pids: list[int], seconds: float) -> float:
    before = sum(usage(pid).cpu for pid in pids)
    time.sleep(seconds)
    return (sum(usage(pid).cpu for pid in pids) - before) / seconds


def _sustained(settings: Settings, url: str, key: str, seconds: float) -> Figure:
    """Send at a rate; then measure how long the pipeline takes until all of it is stored."""
    figure = load(url, key, "--seconds", seconds, "--rate", RATE, "--batch", 20)
    begin = time.monotonic()
    asyncio.run(wait_until_stored(settings, 600))
    return figure | {"behind_s": time.monotonic() - begin}


def _latencies(settings: Settings, url: str, key: str, seconds: float) -> list[float]:
    """Send single events among a load; return the seconds until the row of each."""
    loaded = WARM_UP_SECONDS + seconds + 1
    background = Thread(target=load, args=(url, key, "--seconds", loaded, "--rate", PROBE_RATE))
    background.start()
    time.sleep(WARM_UP_SECONDS)
    try:
        return asyncio.run(_probe(settings, url, key, seconds))
    finally:
        background.join()


async def _probe(settings: Settings, url: str, key: str, seconds: float) -> list[float]:
    latencies: list[float] = []
    waiting: dict[str, float] = {}
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        await psycopg.AsyncConnection.connect(settings.dsn, autocommit=True) as connection,
    ):
        sending = asyncio.create_task(_send(session, url, int(seconds / PROBE_INTERVAL), waiting))
        while waiting or not sending.done():
            found = await connection.execute(
                "select event_id::text from eye.event_keys where event_id = any(%s::uuid[])", (list(waiting),)
            )
            async for (event_id,) in found:
                latencies.append(time.perf_counter() - waiting.pop(event_id))
            await asyncio.sleep(POLL_SECONDS)
        await sending
    return latencies


async def _send(session: aiohttp.ClientSession, url: str, number: int, waiting: dict[str, float]) -> None:
    """Send events, each when it is due, without waiting for earlier ones; note by id when each was sent."""
    valid = (event for event in events(2 * number, seed=3) if isinstance(event["data"]["path"], str))  # type: ignore[index]
    async with asyncio.TaskGroup() as posts:
        for event in islice(valid, number):
            event["event_id"] = event_id = str(uuid.uuid4())
            waiting[event_id] = time.perf_counter()
            posts.create_task(_post(session, url, event))
            await asyncio.sleep(PROBE_INTERVAL)


async def _post(session: aiohttp.ClientSession, url: str, event: dict[str, object]) -> None:
    """Send an event until it is taken, as applications do after a 429 or 503."""
    while True:
        async with session.post(url, json=event) as response:
            if response.status != HTTPStatus.SERVICE_UNAVAILABLE:
                response.raise_for_status()
                return
        await asyncio.sleep(PROBE_INTERVAL)
