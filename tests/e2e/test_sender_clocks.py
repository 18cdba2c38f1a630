"""Clocks of senders, all the way: corrected rows in the order as sent, whatever was killed, and replays that agree."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from eye.operations.wait_until_stored import wait_until_stored
from schemas.settings import Settings
from tests.conftest import KEY
from tests.e2e.replays import checksums, drop_and_migrate, eye
from tests.support.pipeline import Event, Pipeline, an_event

HOUR = timedelta(hours=1)


@pytest.fixture
def pipeline(settings: Settings) -> Iterator[Pipeline]:
    """Run the line for an application whose unknown event types are accepted."""
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    settings.applications_file.write_text(
        f'[[applications]]\nid = "shop"\nunknown_event_types = "accept"\n'
        f'keys = [{{ sha256 = "{digest}", scopes = ["write", "read"] }}]\n'
    )
    with Pipeline(settings) as running:
        yield running


async def post(pipeline: Pipeline, off: timedelta | None, *events: Event) -> None:
    """Send events of one request, whose sender's clock is off by so much."""
    sent = {} if off is None else {"sent_at": (datetime.now(UTC) + off).isoformat()}
    status, answer = await pipeline.post(json.dumps({"events": events, **sent}).encode())
    assert (status, answer["rejected"]) == (202, 0)


def ago(off: timedelta, seconds: float, **changes: Any) -> Event:
    """Return an event that happened some seconds ago, by a clock that is off."""
    return an_event(timestamp=(datetime.now(UTC) + off - timedelta(seconds=seconds)).isoformat(), **changes)


async def test_corrected_events_keep_their_order_and_replays_agree(pipeline: Pipeline, tmp_path: Path) -> None:
    settings, none = pipeline.settings, timedelta(0)
    fast, slow = 3 * HOUR, -30 * 24 * HOUR
    first = [ago(fast, seconds) for seconds in (30, 20)]
    await post(pipeline, fast, *first, ago(slow, 40, session_id="s-2", category="dance"))
    await wait_until_stored(settings, 60)
    pipeline.streams[0].kill()
    pipeline.streams[0].start()
    mended = ago(fast, 12, session_id="s-1", data={"host": "h"})
    await post(pipeline, fast - HOUR, ago(fast, 15), mended)
    odd = ago(fast, 11, category="dance", user_id="")
    await post(pipeline, None, ago(fast, 10), odd)
    await post(pipeline, slow, ago(none, 5, session_id="s-3"), ago(slow, 6, session_id="s-2"))
    await post(pipeline, none, ago(none, 5, session_id="s-4"), ago(none, 4, session_id="s-4") | {"event_id": "e" * 128})
    await wait_until_stored(settings, 60)

    _, session = await pipeline.get("/sessions/s-1/events")
    _, summary = await pipeline.get("/sessions/s-1")
    _, one = await pipeline.get(f"/events/{first[0]['event_id']}?session_id=s-1")
    missing, _ = await pipeline.get(f"/events/{first[0]['event_id']}?session_id=s-2")
    _, right = await pipeline.get("/sessions/s-4/events")
    _, late = await pipeline.get("/sessions/s-2/events")
    steps = tmp_path / "steps.json"
    steps.write_text(
        '[{"op": "set", "path": "/data/path", "value": "/"}, {"op": "set", "path": "/user_id", "value": "u"}]'
    )
    redriven = await eye(settings, "redrive", "--all", "--transform", str(steps), "--yes", "--json")
    await wait_until_stored(settings, 60)
    _, after_redrive = await pipeline.get("/sessions/s-1/events")
    dry = await eye(settings, "replay", "--to", "stream", "--all", "--dry-run", "--json")
    with psycopg.connect(settings.dsn) as connection:
        connection.execute("create table kept as table eye.sessions")
        connection.execute("truncate eye.sessions")
    by_rows = await eye(settings, "replay", "--to", "stream", "--all", "--dry-run", "--json")
    with psycopg.connect(settings.dsn) as connection:
        connection.execute("insert into eye.sessions table kept")
        connection.execute("drop table kept")
    before = checksums(settings)
    await drop_and_migrate(settings)
    stored = await eye(settings, "replay", "--to", "sink", "--all", "--yes", "--json")

    times = [datetime.fromisoformat(event["timestamp_sent"]) for event in session["events"]]
    offsets = {event["clock_offset_ms"] for event in session["events"]}
    assert (len(times), times, len(offsets)) == (4, sorted(times), 1)
    [offset] = offsets
    assert abs(timedelta(milliseconds=offset) + fast) < timedelta(seconds=30)
    for event in session["events"]:
        sent = datetime.fromisoformat(event["timestamp_sent"])
        assert datetime.fromisoformat(event["occurred_at"]) - sent == timedelta(milliseconds=offset)
    assert summary["clock_offset_ms"] == offset
    assert summary["started_at"] == session["events"][0]["occurred_at"]
    assert (one["clock_offset_ms"], missing) == (offset, 404)
    assert all({"timestamp_sent", "clock_offset_ms"}.isdisjoint(event) for event in right["events"])
    assert [event["category"] for event in late["events"]] == ["dance", "page interaction"]
    assert (redriven.returncode, redriven.json["changed"]) == (0, 2), redriven
    assert {event["clock_offset_ms"] for event in after_redrive["events"]} == {offset}
    assert [event["category"] for event in after_redrive["events"]].count("dance") == 1
    assert (dry.json["changes"], by_rows.json["changes"]) == (0, 0), (dry, by_rows)
    assert (stored.returncode, stored.json["proven"]) == (0, True), stored
    assert checksums(settings) == before
