"""Everything measured, each figure beside its reference: `python -m bench [--quick] [--only STAGE]`.

Growth is measured when it is asked for, or all is: not with `--quick`. `--only growth` has three parts, which can be
asked for one by one.

It starts a Kafka and a Postgres of its own. The percentages shown meanwhile are what the host took of the cores during
each repetition. Method: docs/performance.md.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.machine import Machine, machine
from bench.report import Result, show, write
from bench.stages import gateway, growth, growth_table, line, sinks, start, stream

STAGES = ("stream", "sinks", "gateway", "line", "start", "sessions")
GROWTH = ("processes", "partitions", "table")
TRIES = 4


def main() -> int:
    """Measure and print; exits 1 when a target is missed."""
    parser = argparse.ArgumentParser(description="Measure The Eye on this machine.")
    parser.add_argument("--quick", action="store_true", help="fewer events, one repetition: under three minutes")
    parser.add_argument("--only", choices=[*STAGES, "growth", *GROWTH], action="append")
    parser.add_argument("--repeat", type=int, help="repetitions of each measurement")
    parser.add_argument("--seconds", type=int, help="how long the line is loaded; 300, with --quick 8")
    given = parser.parse_args()
    quick = given.quick
    repeat = given.repeat or (1 if quick else 3)
    stages: dict[str, Callable[[Machine], list[Result]]] = {
        "stream": lambda machine: stream.measure(machine, events=60_000 if quick else 200_000, repeat=repeat),
        "sinks": lambda machine: sinks.measure(machine, events=40_000 if quick else 200_000, repeat=repeat),
        "gateway": lambda machine: gateway.measure(machine, seconds=2 if quick else 10, repeat=repeat),
        "line": lambda machine: line.measure(machine, seconds=given.seconds or (8 if quick else 300), quick=quick),
        "sessions": lambda machine: stream.measure_sessions(machine, events=30_000 if quick else 1_200_000),
        "start": lambda _: start.measure(again=not quick),
        "processes": growth.measure_processes,
        "partitions": growth.measure_partitions,
        "table": growth_table.measure,
    }
    results: list[Result] = []
    with machine(tries=1 if quick else TRIES) as here:
        for name in _chosen(given.only, quick):
            print(f"measuring: {name} ...", end=" ", flush=True)
            begin = time.monotonic()
            found = stages[name](here)
            print(f"{time.monotonic() - begin:.0f} s", flush=True)
            results += found
            write(results, Path(__file__).parent)  # whatever becomes of the rest
    show(results)
    return 0 if all(result.met is not False for result in results) else 1


def _chosen(only: Sequence[str] | None, quick: bool) -> list[str]:
    """Return the names of what is to be measured, in the order of measuring."""
    if not only:
        return [*STAGES, *(() if quick else GROWTH)]
    return [name for name in (*STAGES, *GROWTH) if name in only or (name in GROWTH and "growth" in only)]


if __name__ == "__main__":
    sys.exit(main())
