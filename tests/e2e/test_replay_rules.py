"""Replays through mended rules, and replays that are refused."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import psycopg
import pytest

from eye.local.stack import environment
from eye.operations.wait_until_stored import wait_until_stored
from schemas.settings import Settings
from schemas.topics import topic_names
from tests.e2e.reader import read_committed
from tests.e2e.replays import (
    RIGHT,
    SESSIONS,
    WRONG,
    checksums,
    drop_and_migrate,
    eye,
    send,
    start_eye,
    summaries,
    until_it_has_read,
    write_rule,
)
from tests.integration.eye.test_command import run_eye
from tests.support.pipeline import Pipeline, numbered_events

EVENTS = int(os.environ.get("EYE_DRILL_EVENTS", "5000"))


@pytest.fixture
def wrong_rule(settings: Settings, tmp_path: Path) -> Settings:
    """Return a deployment whose rule for pageviews is wrong: it rejects what ends with 7, accepts what ends with 3."""
    types = tmp_path / "types"
    types.mkdir()
    write_rule(types, WRONG)
    return settings.model_copy(update={"event_types": [str(types)]})


def in_topic(settings: Settings, topic: str, run: str) -> list[str]:
    """Return the ids of what a run published."""
    found = read_committed(settings, topic)
    return [json.loads(m.value())["event_id"] for m in found if dict(m.headers()).get("replay") == run.encode()]


async def test_a_mended_rule_replaces_exactly_the_events_it_misjudged(wrong_rule: Settings) -> None:
    settings, topics = wrong_rule, topic_names(wrong_rule)
    events, later = list(numbered_events(EVENTS, SESSIONS)), list(numbered_events(1_000, SESSIONS))
    sevens, threes = ({e["event_id"] for e in events if e["data"]["path"].endswith(digit)} for digit in ("7", "3"))
    with Pipeline(settings) as pipeline:
        await send(pipeline, [*events, *events[:200]])  # what is sent again is counted once
        await wait_until_stored(settings, 120)
        first, sessions = checksums(settings), summaries(settings)
        write_rule(Path(settings.event_types[0]), RIGHT)
        pipeline.streams[0].stop(15)
        pipeline.streams[0].start()

        slowly = ("--rate", str(EVENTS / 5))  # in several chunks
        dry = await eye(settings, "replay", "--to", "stream", "--all", *slowly, "--dry-run", "--json")
        assert first == checksums(settings)
        process = await start_eye(settings, "replay", "--to", "stream", "--all", *slowly, "--yes")
        sending = asyncio.create_task(send(pipeline, [event | {"session_id": "later"} for event in later]))
        run = await until_it_has_read(settings, EVENTS // 4)
        process.kill()
        await process.communicate()
        resumed = await eye(settings, "replay", "resume", run, "--json")
        await sending
        await wait_until_stored(settings, 120)
        second = await eye(settings, "replay", "--to", "stream", "--all", "--yes", "--json")
        await wait_until_stored(settings, 120)
        status, stored = await pipeline.get(f"/events/{min(sevens)}")
        _, rejected = await pipeline.get(f"/events/{min(threes)}")

    changes = len(sevens) + len(threes)
    assert dry.json["changes"] == changes, dry
    assert dry.json["counts"]["rejected -> accepted"] == len(sevens)
    assert dry.json["counts"]["accepted -> rejected"] == len(threes)
    assert (resumed.returncode, resumed.json["proven"], resumed.json["twice"]) == (0, True, 0), resumed
    assert resumed.json["changed"] == changes
    assert (second.returncode, second.json["changed"], second.json["proven"]) == (0, 0, True), second
    assert sorted(in_topic(settings, topics.validated, run)) == sorted(sevens)
    assert sorted(in_topic(settings, topics.rejected, run)) == sorted(threes)
    assert (status, stored["status"], rejected["status"]) == (200, "stored", "rejected")
    with psycopg.connect(settings.dsn) as connection:
        rows = connection.execute("select event_id::text, data->>'path' from eye.events").fetchall()
        refused = connection.execute("select event_id::text from eye.rejected_events").fetchall()
    expected = {e["event_id"] for e in events + later if not e["data"]["path"].endswith("3")}
    assert sorted(event_id for event_id, _ in rows) == sorted(expected)
    assert {event_id for (event_id,) in refused} == {e["event_id"] for e in events + later} - expected
    assert summaries(settings) == sessions
    before = checksums(settings)
    await drop_and_migrate(settings)
    ran = await eye(settings, "replay", "--to", "sink", "--all", "--yes", "--json")
    assert (ran.returncode, ran.json["proven"]) == (0, True), ran
    assert checksums(settings) == before


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["--to", "sink"], 2, "say what to replay"),
        (["--all"], 2, "say where to"),
        (["--to", "sink", "--topic", "events.raw", "--all"], 2, "events.raw can't be replayed to sink"),
        (["--to", "sink", "--from", "someday"], 2, "--from someday"),
        (["--to", "sink", "--partitions", "1,17"], 1, "has the partitions 0 to 2, there is no 17"),
        (["--to", "sink", "--partitions", "0", "--from-offset", "5"], 1, "nothing is selected"),
        (["--to", "sink", "--partitions", "0", "--to-offset", "5"], 1, "ends at offset 0: there is no 4 yet"),
        (["--to", "sink", "--all"], 1, "nothing is selected"),
        (["resume", "nope"], 1, "there is no run nope"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_replayed_is_told_before_anything_is_touched(
    settings: Settings, arguments: list[str], code: int, sentence: str
) -> None:
    ran = run_eye("replay", *arguments, env=environment(settings))

    assert (ran.returncode, sentence in " ".join(ran.stderr.split())) == (code, True), ran
    with psycopg.connect(settings.dsn) as connection:
        assert connection.execute("select count(*) from eye.replays").fetchone() == (0,)
