"""Workers killed while events stream in: nothing is lost, nothing doubled, no order broken.

`EYE_DRILL_EVENTS` says how many events are sent; the default suits a test run, a drill takes 60000.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice

import psycopg

from eye.settled import wait_until_settled
from schemas.settings import Settings
from schemas.topics import topic_names
from tests.e2e.reader import read_committed
from tests.pipeline import Event, EyeProcess, Pipeline, ndjson, numbered_events

EVENTS = int(os.environ.get("EYE_DRILL_EVENTS", "6000"))
KILLS = 5
SESSIONS = 200
BATCH = 100


async def test_every_event_is_stored_once_while_workers_are_killed(settings: Settings) -> None:
    events = list(numbered_events(EVENTS, SESSIONS))
    with Pipeline(settings, streams=2, sinks=2) as pipeline:
        killing = asyncio.create_task(kill_now_and_then(pipeline, random.Random(EVENTS)))
        acknowledged = await send_all(pipeline, events)
        await killing
        await wait_until_settled(settings, 120)

    assert acknowledged == {event["event_id"] for event in events}
    validated = [json.loads(m.value()) for m in read_committed(settings, topic_names(settings).validated)]
    assert Counter(e["event_id"] for e in validated) == Counter(acknowledged)
    assert out_of_order(validated) == []
    with psycopg.connect(settings.dsn) as connection:
        rows = connection.execute("select event_id::text from eye.events").fetchall()
        counts = connection.execute("select session_id, event_count from eye.sessions").fetchall()
    assert Counter(event_id for (event_id,) in rows) == Counter(acknowledged)
    assert dict(counts) == Counter(event["session_id"] for event in events)


async def kill_now_and_then(pipeline: Pipeline, chance: random.Random) -> None:
    """Kill a stream worker and a sink worker at random moments, and start each again."""
    for _ in range(KILLS):
        await asyncio.sleep(chance.uniform(0.5, 2.0))  # the moment is what is drawn
        for workers in (pipeline.streams, pipeline.sinks):
            worker: EyeProcess = chance.choice(workers)
            worker.kill()
            worker.start()


async def send_all(pipeline: Pipeline, events: Sequence[Event]) -> set[str]:
    """Send every event in order, again where the gateway says so; returns the ids that got a 2xx."""
    acknowledged: set[str] = set()
    for batch in batches(events):
        status: int = 0
        answer: Event = {}
        while status != 202:
            status, answer = await pipeline.post(ndjson(batch), "application/x-ndjson")
        acknowledged.update(result["event_id"] for result in answer["results"] if result["status"] == "ok")
    return acknowledged


def batches(events: Sequence[Event]) -> Iterator[list[Event]]:
    rest = iter(events)
    while batch := list(islice(rest, BATCH)):
        yield batch


def out_of_order(validated: Sequence[Event]) -> list[Event]:
    """Return the events that stand behind a later one of their session; `path` numbers them."""
    latest: dict[str, int] = defaultdict(int)
    late = []
    for event in validated:
        number = int(event["data"]["path"].removeprefix("/"))
        if number < latest[event["session_id"]]:
            late.append(event)
        latest[event["session_id"]] = max(latest[event["session_id"]], number)
    return late
