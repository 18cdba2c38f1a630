"""Everything measured, each figure beside its reference: `python -m bench [--quick] [--only STAGE]`.

It starts a Kafka and a Postgres of its own. Method: docs/performance.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from bench import gateway, line, sinks, stream
from bench.machine import Machine, machine
from bench.report import Result, show, write


def main() -> int:
    """Measure and print; exits 1 when a target is missed."""
    parser = argparse.ArgumentParser(description="Measure The Eye on this machine.")
    parser.add_argument("--quick", action="store_true", help="fewer events, one repetition: under three minutes")
    parser.add_argument("--only", choices=["gateway", "stream", "sessions", "sinks", "line"], action="append")
    parser.add_argument("--repeat", type=int, help="repetitions of each measurement")
    given = parser.parse_args()
    quick = given.quick
    repeat = given.repeat or (1 if quick else 3)
    stages: dict[str, Callable[[Machine], list[Result]]] = {
        "stream": lambda machine: stream.measure(machine, events=60_000 if quick else 200_000, repeat=repeat),
        "sinks": lambda machine: sinks.measure(machine, events=60_000 if quick else 200_000, repeat=repeat),
        "gateway": lambda machine: gateway.measure(machine, seconds=4 if quick else 10, repeat=repeat),
        "line": lambda machine: line.measure(machine, seconds=20 if quick else 300),
        "sessions": lambda machine: stream.measure_sessions(machine, events=100_000 if quick else 1_200_000),
    }
    results: list[Result] = []
    with machine() as here:
        for name, measure in stages.items():
            if given.only and name not in given.only:
                continue
            print(f"measuring: {name} ...", flush=True)
            results += measure(here)
    show(results)
    write(results, Path(__file__).parent)
    return 0 if all(result.met is not False for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
