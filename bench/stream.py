"""The stream stage alone, against a plain Faust agent: `python -m bench.stream`.

Method: one local Kafka; the same corpus in fresh topics; in turn, several times, a plain Faust agent
(`async for event in stream: judge, await topic.send`) and the stream (validated, grouped by session,
forwarded, exactly once), each in a process of its own and under a consumer group of its own. Counted are
the records between the first five percent and the last, so that starting up is left out; CPU is the whole
process's. The ratio is of the medians.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import uuid
from pathlib import Path

from bench.raw import fill_raw
from eye.local.kafka import LocalKafka
from eye.topics import create_topics
from schemas.settings import Settings

TARGET = 20.0

Figure = dict[str, float]


def main() -> int:
    """Measure and print; exits 1 when the ratio is below the target."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--events", type=int, default=200_000, help="events for the stream")
    parser.add_argument("--plain-events", type=int, default=8_000, help="events for the plain agent")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="eye-bench-") as directory:
        kafka = LocalKafka(Path(directory) / "kafka", heap="1g")
        kafka.start()
        try:
            plain, ours = asyncio.run(_measure(kafka.bootstrap_servers, Path(directory), arguments))
        finally:
            kafka.stop()
    return _report(plain, ours)


async def _measure(servers: str, data: Path, arguments: argparse.Namespace) -> tuple[list[Figure], list[Figure]]:
    """Run both in turn, each time on topics of its own: what was forwarded before would be dropped as sent twice."""
    plain, ours = [], []
    for run in range(1, arguments.repeat + 1):
        settings = await _filled(servers, data, f"plain-{run}.", arguments.plain_events)
        plain.append(_run("bench.plain_faust", settings, arguments.plain_events))
        print(f"run {run}: plain Faust agent {_line(plain[-1])}", flush=True)
        settings = await _filled(servers, data, f"stream-{run}.", arguments.events)
        ours.append(_run("bench.our_stream", settings, arguments.events))
        print(f"run {run}: the stream        {_line(ours[-1])}", flush=True)
    return plain, ours


async def _filled(servers: str, data: Path, prefix: str, number: int) -> Settings:
    settings = Settings(kafka_bootstrap_servers=servers, topic_prefix=prefix, data_dir=data / "eye")
    await create_topics(settings)
    await fill_raw(settings, number)
    return settings


def _run(module: str, settings: Settings, number: int) -> Figure:
    """Run one measured process; it prints its figures as JSON in its last line."""
    environment = {
        "EYE_KAFKA_BOOTSTRAP_SERVERS": str(settings.kafka_bootstrap_servers),
        "EYE_TOPIC_PREFIX": settings.topic_prefix,
        "EYE_GROUP": f"{uuid.uuid4().hex[:6]}-",
        "EYE_DATA_DIR": str(settings.data_dir),
    }
    command = [sys.executable, "-m", module, str(number)]
    done = subprocess.run(
        command, env=os.environ | environment, stdout=subprocess.PIPE, text=True, check=True, timeout=300
    )
    figure: Figure = json.loads(done.stdout.strip().splitlines()[-1])
    return figure


def _line(figure: Figure) -> str:
    return f"{figure['rate']:>9,.0f} events/s   {figure['cpu_us']:>6.1f} µs CPU an event"


def _report(plain: list[Figure], ours: list[Figure]) -> int:
    ratio = statistics.median(f["rate"] for f in ours) / statistics.median(f["rate"] for f in plain)
    met = "met" if ratio >= TARGET else "MISSED"
    print(f"ratio of the medians: {ratio:.1f} times the plain Faust agent (target {TARGET:.0f}: {met})")
    return 0 if ratio >= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
