"""Rejected events that become events, once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from eye.operations.wait_until_stored import wait_until_stored
from schemas.settings import Settings
from schemas.topics import topic_names
from tests.e2e.reader import read_committed
from tests.e2e.replays import checksums, drop_and_migrate, eye, send
from tests.support.pipeline import Pipeline, an_event


@pytest.fixture
def pipeline(settings: Settings) -> Iterator[Pipeline]:
    with Pipeline(settings) as running:
        yield running


async def test_mended_events_are_stored_and_others_tried_five_times(pipeline: Pipeline, tmp_path: Path) -> None:
    settings, topics = pipeline.settings, topic_names(pipeline.settings)
    mendable = [an_event(session_id=f"s-{n}", data={"host": "h", "uri": f"/{n}"}) for n in range(20)]
    hopeless = [an_event(session_id=f"s-{n}", data={"host": "h"}) for n in range(5)]
    others = [an_event(session_id="s-1", name="dance")]
    await send(pipeline, [*mendable, *hopeless, *others, an_event()])
    await wait_until_stored(settings, 60)
    steps = tmp_path / "steps.toml"
    steps.write_text('[[steps]]\nop = "rename"\npath = "/data/uri"\nto = "/data/path"\n')
    redrive = ("redrive", "--code", "missing_field", "--name", "pageview", "--transform", str(steps), "--json")

    before = checksums(settings)
    dry = await eye(settings, *redrive, "--dry-run")
    shown = await eye(settings, *redrive[:-1], "--dry-run")
    asked = await eye(settings, *redrive)
    unchanged = checksums(settings)
    runs = [await eye(settings, *redrive, "--yes") for _ in range(5)]
    exhausted = await eye(settings, *redrive, "--yes")
    await wait_until_stored(settings, 60)
    _, errors = await pipeline.get("/errors")
    _, mended = await pipeline.get(f"/events/{mendable[7]['event_id']}")
    replayed = await eye(settings, "replay", "--to", "stream", "--all", "--yes", "--json")

    assert dry.json["counts"] == {"rejected -> accepted": 20, "rejected -> rejected": 5}
    assert ("uri" in dry.json["sample"][0]["before"], "uri" in dry.json["sample"][0]["after"]) == (True, False)
    assert [sample["becomes"] for sample in dry.json["sample"]] == ["accepted", "rejected"]
    assert max(map(len, shown.stdout.splitlines())) <= 80
    assert all(text in shown.stdout for text in ('-    "uri": "/', '+    "path": "/', "missing_field at $.data.path"))
    assert (asked.returncode, "--yes" in asked.stderr) == (1, True)
    assert unchanged == before
    assert [(ran.json["selected"], ran.json["changed"], ran.json["proven"]) for ran in runs] == [
        (25, 20, True), *[(5, 0, True)] * 4,
    ]  # fmt: skip
    assert (exhausted.returncode, "often enough" in exhausted.stderr) == (1, True)
    assert {error["event_id"] for error in errors["errors"]} == {event["event_id"] for event in hopeless + others}
    assert (mended["status"], mended["data"]) == ("stored", {"host": "h", "path": "/7"})
    assert (replayed.returncode, replayed.json["changed"], replayed.json["proven"]) == (0, 0, True), replayed
    published = [m for m in read_committed(settings, topics.validated) if "replay" in dict(m.headers())]
    assert sorted(json.loads(m.value())["event_id"] for m in published) == sorted(e["event_id"] for e in mendable)
    with psycopg.connect(settings.dsn) as connection:
        marks = "select count(*), count(redriven_by) from eye.rejected_events"
        assert connection.execute(marks).fetchone() == (26, 20)
    after = checksums(settings)
    await drop_and_migrate(settings)
    ran = await eye(settings, "replay", "--to", "sink", "--all", "--yes", "--json")
    assert (ran.returncode, ran.json["proven"]) == (0, True), ran
    assert checksums(settings) == after


async def test_a_redrive_that_died_does_not_publish_again(pipeline: Pipeline, tmp_path: Path) -> None:
    settings, topics = pipeline.settings, topic_names(pipeline.settings)
    events = [an_event(session_id=f"s-{n}", data={"host": "h"}) for n in range(10)]
    await send(pipeline, events)
    await wait_until_stored(settings, 60)
    for worker in pipeline.sinks:
        worker.stop(15)
    steps = tmp_path / "steps.json"
    steps.write_text('[{"op": "set", "path": "/data/path", "value": "/"}]')
    with psycopg.connect(settings.dsn, autocommit=True) as connection:
        connection.execute("alter table eye.events add constraint in_the_way check (data->>'path' <> '/')")

        failed = await eye(settings, "redrive", "--all", "--transform", str(steps), "--yes", "--json")
        [(run,)] = connection.execute("select run from eye.replays").fetchall()
        connection.execute("alter table eye.events drop constraint in_the_way")
        resumed = await eye(settings, "replay", "resume", run, "--json")

    assert (failed.returncode, "in_the_way" in failed.stderr) == (1, True), failed
    assert (resumed.returncode, resumed.json["changed"], resumed.json["proven"]) == (0, 10, True), resumed
    published = [json.loads(m.value())["event_id"] for m in read_committed(settings, topics.validated)]
    assert sorted(published) == sorted(event["event_id"] for event in events)
