"""The gateway's spool alone: `python -m bench.stages.spool`.

Method: a spool in a temporary directory (`--directory` names another disk), filled by as many callers at once
as given, each waiting for its own records to be on disk before it brings the next: group commit, each with an
fsync. Then all of it is read in pieces and removed, as draining does, while one caller goes on. The reference
from the same run is a bare write and fsync of the same bytes for each call, one after the other.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import uvloop
from aiokafka.partitioner import murmur2

from bench.corpus import encoded, events
from gateway.metrics import Metrics
from gateway.outgoing import OutgoingRecord
from gateway.publish.partition_queue import PIECE_BYTES
from gateway.spool.record import Spooled
from gateway.spool.segments import Cursor
from gateway.spool.spool import Spool
from schemas.settings import Settings

LOADS = [(1, 1), (50, 1), (50, 10), (20, 500)]
"""Callers at once, and events of each call."""

PARTITIONS = 6


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--events", type=int, default=50_000, help="most events of each load")
    parser.add_argument("--seconds", type=float, default=5.0, help="longest time of each load")
    parser.add_argument("--directory", type=Path, help="where to put the spool")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="eye-bench-", dir=arguments.directory) as directory:
        uvloop.run(_measure(Path(directory), arguments.events, arguments.seconds))


async def _measure(directory: Path, number: int, seconds: float) -> None:
    records = list(_records(number))
    _print_reference(directory / "reference", records[0].value)
    spool = Spool(Settings(data_dir=directory, spool_max_bytes=1 << 40), Metrics())
    await spool.start()
    for callers, size in LOADS:
        cpu = _cpu()
        latencies, elapsed = await _fill(spool, records, callers, size, seconds)
        filled = len(latencies) * size
        print(
            f"{callers:>3} callers, {size:>3} events a call: {filled / elapsed:>7,.0f} events/s"
            f"   {(_cpu() - cpu) / filled * 1e6:>5.0f} µs CPU an event"
            f"   commit p50 {_percentile(latencies, 50):5.1f} ms, p99 {_percentile(latencies, 99):5.1f} ms"
        )
    await _drain(spool, records)
    await spool.stop()


def _records(number: int) -> Iterator[OutgoingRecord]:
    now = int(time.time() * 1000)
    shared = [("application", b"bench"), ("received_at", b"%d" % now), ("traceparent", b"0" * 55)]
    for event in events(number):
        headers = [("event_id", str(event["event_id"]).encode()), *shared]
        yield OutgoingRecord(str(event["session_id"]).encode(), encoded(event), headers, now)


def _print_reference(path: Path, value: bytes) -> None:
    latencies = []
    with path.open("wb", buffering=0) as file:
        for _ in range(200):
            began = time.perf_counter()
            file.write(value)
            os.fsync(file.fileno())
            latencies.append(time.perf_counter() - began)
    print(f"reference, a bare fsync: p50 {_percentile(latencies, 50):.1f} ms   p99 {_percentile(latencies, 99):.1f} ms")


async def _fill(
    spool: Spool, records: list[OutgoingRecord], callers: int, size: int, seconds: float
) -> tuple[list[float], float]:
    """Append until there are no more records, or the time is over; returns latencies and time in seconds."""
    latencies: list[float] = []
    calls = iter(range(0, len(records) - size + 1, size))
    began = time.perf_counter()

    async def call() -> None:
        for start in calls:
            latencies.append(await _append(spool, records[start : start + size]))
            if time.perf_counter() - began > seconds:
                return

    await asyncio.gather(*(call() for _ in range(callers)))
    return latencies, time.perf_counter() - began


async def _append(spool: Spool, records: list[OutgoingRecord]) -> float:
    began = time.perf_counter()
    room, written = spool.append([Spooled(record, _hash(record.key)) for record in records])
    if room < len(records) or not await written:
        raise SystemExit(f"the spool can't be written: {spool.fault}")
    return time.perf_counter() - began


async def _drain(spool: Spool, records: list[OutgoingRecord]) -> None:
    """Empty the spool, a task for each partition, while one caller goes on."""
    number, draining = spool.records, True
    latencies: list[float] = []

    async def go_on() -> None:
        while draining:
            latencies.append(await _append(spool, records[:1]))

    async def empty(partition: int) -> None:
        cursor, is_last = Cursor(), False
        while not is_last:
            entries, cursor, is_last = await spool.read(cursor, partition, PARTITIONS, PIECE_BYTES)
            spool.remove(entries)

    caller = asyncio.create_task(go_on())
    began, cpu = time.perf_counter(), _cpu()
    await asyncio.gather(*map(empty, range(PARTITIONS)))
    await spool.settled()
    elapsed = time.perf_counter() - began
    draining = False
    await caller
    print(
        f"read and removed: {number / elapsed:,.0f} events/s   {(_cpu() - cpu) / number * 1e6:.0f} µs CPU an event"
        f"   commit meanwhile p50 {_percentile(latencies, 50):.1f} ms, p99 {_percentile(latencies, 99):.1f} ms"
    )


@lru_cache(maxsize=65_536)
def _hash(key: bytes) -> int:
    return int(murmur2(key)) & 0x7FFFFFFF


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _percentile(seconds: list[float], percent: int) -> float:
    return statistics.quantiles(seconds, n=100)[percent - 1] * 1000 if len(seconds) > 1 else seconds[0] * 1000


if __name__ == "__main__":
    main()
