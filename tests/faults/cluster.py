"""Three Kafka nodes, two of which have to hold each event; one is killed under load.

    python -m tests.faults.cluster [--seconds 60] [--rate 300]

prints what was sent, lost and doubled, and how long the slowest request took; exits 1 when a promise is broken.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import aiohttp
import psycopg
from pydantic import SecretStr

from eye.local.postgres import LocalPostgres
from eye.operations.topics import create_topics
from eye.operations.wait_until_stored import wait_until_stored
from schemas.settings import Settings
from schemas.topics import topic_names
from sinks.postgres.migrate import migrate
from tests.conftest import KEY, write_key
from tests.e2e.reader import read_committed
from tests.faults.harness.nodes import Node, cluster
from tests.support.pipeline import Event, Pipeline, ndjson, numbered_events, out_of_order

SESSIONS = 200
BATCH = 20


@dataclass
class Figures:
    """Result of a drill; times in seconds. A request is cut where its connection breaks, or can't be made."""

    requests: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    slowest_request: float = 0.0
    longest_without_202: float = 0.0
    cut: int = 0
    acknowledged: int = 0
    lost: int = 0
    doubled: int = 0
    out_of_order: int = 0
    rows: int = 0
    sessions_wrong: int = 0

    def broken(self) -> list[str]:
        """Name the promises that were broken."""
        wrong = [name for name in ("cut", "lost", "doubled", "out_of_order", "sessions_wrong") if getattr(self, name)]
        return wrong + (["slowest_request"] if self.slowest_request > 2 else [])

    def show(self) -> None:
        """Print them, one on a line."""
        for name, value in vars(self).items():
            shown = dict(value) if isinstance(value, Counter) else f"{value:.2f}" if isinstance(value, float) else value
            print(f"{name:<22}{shown}")


class Load:
    """Events in batches at a steady rate, each again until it is acknowledged: in order within a session."""

    def __init__(self, url: str, figures: Figures, key: str = KEY) -> None:
        self._url = url
        self._figures = figures
        self._key = key
        self._last_202 = time.monotonic()
        self.acknowledged: Counter[str] = Counter()

    async def send(self, events: Iterable[Event], rate: float) -> None:
        """Send them, `rate` events a second or as fast as they are taken."""
        rest = iter(events)
        next_at = self._last_202 = time.monotonic()
        async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {self._key}"}) as session:
            while batch := list(islice(rest, BATCH)):
                await asyncio.sleep(max(next_at - time.monotonic(), 0))
                next_at += BATCH / rate
                while batch:
                    batch = await self._left(session, batch)

    async def _left(self, session: aiohttp.ClientSession, batch: list[Event]) -> list[Event]:
        """Send a batch; returns what has to be sent again."""
        try:
            taken = await self._send(session, batch)
        except aiohttp.ClientError:
            self._figures.cut += 1
            taken = set()
        self.acknowledged.update(taken)
        left = [event for event in batch if event["event_id"] not in taken]
        if left:
            await asyncio.sleep(0.1)
        return left

    async def _send(self, session: aiohttp.ClientSession, batch: list[Event]) -> set[str]:
        """Send a batch; returns the ids that were acknowledged."""
        began = time.monotonic()
        headers = {"Content-Type": "application/x-ndjson"}
        async with session.post(f"{self._url}/events/", data=ndjson(batch), headers=headers) as response:
            answer = await response.json(content_type=None)
        ended, figures = time.monotonic(), self._figures
        figures.requests += 1
        figures.statuses[response.status] += 1
        figures.slowest_request = max(figures.slowest_request, ended - began)
        if response.status == 202:
            figures.longest_without_202 = max(figures.longest_without_202, ended - self._last_202)
            self._last_202 = ended
        return {result["event_id"] for result in answer.get("results", []) if result["status"] == "ok"}


async def drill(directory: Path, seconds: float, rate: float) -> Figures:
    """Send events at a rate to a cluster, kill and bring back each of its nodes meanwhile, and compare."""
    postgres = LocalPostgres(directory / "postgres")
    postgres.start()
    try:
        await migrate(postgres.dsn)
        with cluster(directory, 3) as (bootstrap_servers, nodes):
            settings = Settings(
                kafka_bootstrap_servers=bootstrap_servers,
                postgres_dsn=SecretStr(postgres.dsn),
                data_dir=directory / "eye",
                partitions=6,
            )
            write_key(settings)
            await create_topics(settings)
            with Pipeline(settings, streams=2, sinks=2) as pipeline:
                return await _load_and_kill(settings, pipeline, nodes, seconds, rate)
    finally:
        postgres.stop()


async def _load_and_kill(
    settings: Settings, pipeline: Pipeline, nodes: Sequence[Node], seconds: float, rate: float
) -> Figures:
    figures = Figures()
    load = Load(pipeline.gateway.url, figures)
    events = list(numbered_events(int(seconds * rate), SESSIONS))
    killing = asyncio.create_task(_kill_in_turn(nodes, seconds))
    await load.send(events, rate)
    await killing
    await wait_until_stored(settings, 120)
    _compare(settings, events, load, figures)
    return figures


async def _kill_in_turn(nodes: Sequence[Node], seconds: float) -> None:
    """Kill one node after the other; each is back, and in sync again, before the next one goes."""
    for node in nodes:
        await asyncio.sleep(seconds / 12)
        say(f"killing {node.data_dir.name}")
        node.kill()
        await asyncio.sleep(seconds / 6)
        node.log.unlink()
        node.start()
        await asyncio.to_thread(node.wait_ready)
        say(f"{node.data_dir.name} is back")


def _compare(settings: Settings, events: Sequence[Event], load: Load, figures: Figures) -> None:
    validated = [json.loads(message.value()) for message in read_committed(settings, topic_names(settings).validated)]
    seen = Counter(event["event_id"] for event in validated)
    with psycopg.connect(settings.dsn) as connection:
        rows = {event_id for (event_id,) in connection.execute("select event_id::text from eye.events")}
        counts: dict[str, int] = dict(connection.execute("select session_id, event_count from eye.sessions").fetchall())
    figures.acknowledged, figures.rows = len(load.acknowledged), len(rows)
    figures.lost = len(load.acknowledged.keys() - seen.keys() | load.acknowledged.keys() - rows)
    figures.doubled = sum(seen.values()) - len(seen)
    figures.out_of_order = len(out_of_order(validated))
    expected = Counter(event["session_id"] for event in events)
    figures.sessions_wrong = sum(counts.get(session) != count for session, count in expected.items())


def say(sentence: str) -> None:
    """Tell what happens, with the time."""
    print(f"{time.strftime('%H:%M:%S')} {sentence}", flush=True)


def main() -> None:
    """Run the drill."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--rate", type=float, default=300, help="events a second")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        figures = asyncio.run(drill(Path(directory), options.seconds, options.rate))
    figures.show()
    if broken := figures.broken():
        sys.exit(f"broken: {', '.join(broken)}")
    print("kept: nothing lost, nothing doubled, order kept, no request over 2 s")


if __name__ == "__main__":
    main()
