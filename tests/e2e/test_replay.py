"""Replays beside the live pipeline, and their proofs.

`EYE_DRILL_EVENTS` says how many events are sent; the default suits a test run, a drill takes 100000.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from eye.operations.wait_until_stored import wait_until_stored
from schemas.settings import Settings
from tests.e2e.replays import (
    checksums,
    drop_and_migrate,
    eye,
    mixed_events,
    send,
    start_eye,
    until_it_has_read,
)
from tests.support.pipeline import Pipeline, an_event

EVENTS = int(os.environ.get("EYE_DRILL_EVENTS", "5000"))


@pytest.fixture(scope="module")
def running(shared_settings: Settings) -> Iterator[Pipeline]:
    with Pipeline(shared_settings) as running:
        yield running


@pytest.fixture
def pipeline(running: Pipeline) -> Pipeline:
    """Return a pipeline that has all its workers, whatever a test before did to them."""
    for process in running.processes:
        if not process.running:
            process.start()
    return running


async def fill_and_lose(pipeline: Pipeline) -> dict[str, tuple[int, str]]:
    """Fill the tables, stop the sinks, and lose the tables; returns what they held."""
    await send(pipeline, list(mixed_events(EVENTS)))
    await wait_until_stored(pipeline.settings, 120)
    before = checksums(pipeline.settings)
    for worker in pipeline.sinks:
        worker.stop(15)
    await drop_and_migrate(pipeline.settings)
    return before


async def test_all_tables_come_back_the_very_same(pipeline: Pipeline) -> None:
    settings, earlier = pipeline.settings, checksums(pipeline.settings)["events"][0]
    before = await fill_and_lose(pipeline)

    dry = await eye(settings, "replay", "--to", "sink", "--all", "--dry-run", "--json")
    ran = await eye(settings, "replay", "--to", "sink", "--all", "--yes", "--json")
    again = await eye(settings, "replay", "--to", "sink", "--all", "--yes", "--json")

    counts = {table: count for table, (count, _) in before.items()}
    assert dry.json["counts"]["events: missing"] == counts["events"] == earlier + EVENTS * 9 // 10
    assert dry.json["counts"]["rejected_events: missing"] == counts["rejected_events"]
    assert (ran.returncode, ran.json["proven"], ran.json["twice"]) == (0, True, 0)
    assert ran.json["expected"] == ran.json["present"]
    assert checksums(settings) == before
    assert (again.json["changed"], again.json["proven"]) == (0, True)


async def test_the_live_line_recovers_when_the_schema_is_dropped(pipeline: Pipeline) -> None:
    settings = pipeline.settings
    await send(pipeline, list(mixed_events(1_000)))
    await wait_until_stored(settings, 60)
    before = checksums(settings)

    await drop_and_migrate(settings)
    ran = await eye(settings, "replay", "--to", "sink", "--all", "--yes", "--json")

    assert (ran.returncode, ran.json["proven"]) == (0, True)
    assert checksums(settings) == before
    await send(pipeline, [an_event(session_id="afterwards")])
    await wait_until_stored(settings, 60)
    assert checksums(settings)["events"][0] == before["events"][0] + 1


async def test_events_stream_in_during_a_replay_into_an_empty_schema(pipeline: Pipeline) -> None:
    settings, earlier = pipeline.settings, checksums(pipeline.settings)
    first, later = list(mixed_events(EVENTS)), list(mixed_events(1_000))
    await send(pipeline, first)
    await wait_until_stored(settings, 120)

    await drop_and_migrate(settings)
    ran, _ = await asyncio.gather(
        eye(settings, "replay", "--to", "sink", "--all", "--yes", "--json"), send(pipeline, later)
    )
    await wait_until_stored(settings, 120)

    assert (ran.returncode, ran.json["proven"]) == (0, True), ran
    sums = checksums(settings)
    assert sums["events"][0] == sums["event_keys"][0] == earlier["events"][0] + (len(first) + len(later)) * 9 // 10
    assert sums["rejected_events"][0] == earlier["rejected_events"][0] + (len(first) + len(later)) // 10


async def test_without_the_replay_the_next_event_brings_all_of_it_back(pipeline: Pipeline) -> None:
    settings = pipeline.settings
    await send(pipeline, list(mixed_events(1_000)))
    await wait_until_stored(settings, 60)
    before = checksums(settings)

    await drop_and_migrate(settings)
    spread = [an_event(session_id=f"new-{n}", name=name) for n in range(50) for name in ("pageview", "dance")]
    await send(pipeline, spread)
    await wait_until_stored(settings, 60)

    after = checksums(settings)
    assert after["events"][0] == before["events"][0] + 50
    assert after["rejected_events"][0] == before["rejected_events"][0] + 50


async def test_a_killed_replay_is_resumed_with_the_same_proof(settings: Settings) -> None:
    with Pipeline(settings) as pipeline:
        before = await fill_and_lose(pipeline)

    process = await start_eye(settings, "replay", "--to", "sink", "--all", "--yes", "--rate", str(EVENTS / 5))
    run = await until_it_has_read(settings, EVENTS // 5)
    process.send_signal(signal.SIGKILL)
    await process.communicate()
    [listed] = (await eye(settings, "replay", "list", "--json")).json
    resumed = await eye(settings, "replay", "resume", run, "--json")

    assert (listed["run"], listed["status"]) == (run, "running")
    assert listed["read"] < listed["records"]
    assert (resumed.returncode, resumed.json["run"], resumed.json["proven"]) == (0, run, True)
    assert resumed.json["changed"] == sum(
        count for table, (count, _) in before.items() if table in ("events", "rejected_events", "sessions")
    )
    assert checksums(settings) == before
    shown = (await eye(settings, "replay", "show", run, "--json")).json
    assert (shown["status"], shown["read"]) == ("done", shown["records"])


async def test_ctrl_c_stops_a_replay_and_says_how_to_go_on(pipeline: Pipeline) -> None:
    settings = pipeline.settings
    await send(pipeline, list(mixed_events(500)))
    await wait_until_stored(settings, 60)

    process = await start_eye(settings, "replay", "--to", "sink", "--all", "--yes", "--rate", "50")
    run = await until_it_has_read(settings, 1)
    process.send_signal(signal.SIGINT)
    _, err = await process.communicate()
    stopped, *_ = (await eye(settings, "replay", "list", "--json")).json
    cancelled = await eye(settings, "replay", "cancel", run, "--yes", "--json")
    resumed = await eye(settings, "replay", "resume", run)

    assert process.returncode == 1
    assert f"eye replay resume {run}" in err.decode()
    assert (stopped["run"], stopped["status"]) == (run, "stopped")
    assert (cancelled.returncode, cancelled.json["status"]) == (0, "cancelled")
    assert (resumed.returncode, "is cancelled" in resumed.stderr) == (1, True)


async def test_a_run_that_lives_is_not_resumed_and_not_disturbed(pipeline: Pipeline) -> None:
    settings = pipeline.settings
    await send(pipeline, list(mixed_events(500)))
    await wait_until_stored(settings, 60)

    process = await start_eye(settings, "replay", "--to", "sink", "--all", "--yes", "--rate", "20")
    run = await until_it_has_read(settings, 1)
    refused = await eye(settings, "replay", "resume", run)
    shown = (await eye(settings, "replay", "show", run, "--json")).json
    await eye(settings, "replay", "cancel", run, "--yes")
    await process.communicate()

    assert (refused.returncode, f"run {run} goes on: " in refused.stderr) == (1, True), refused
    assert shown["status"] == "running"


async def test_a_cancelled_replay_stops_where_it_is(pipeline: Pipeline) -> None:
    settings = pipeline.settings
    await send(pipeline, list(mixed_events(500)))
    await wait_until_stored(settings, 60)

    process = await start_eye(settings, "replay", "--to", "sink", "--all", "--yes", "--rate", "50")
    run = await until_it_has_read(settings, 1)
    await eye(settings, "replay", "cancel", run, "--yes")
    _, err = await process.communicate()

    assert process.returncode == 1
    assert f"run {run} was cancelled" in err.decode()
    shown = (await eye(settings, "replay", "show", run, "--json")).json
    assert shown["status"] == "cancelled"
    assert shown["read"] < shown["records"]


async def test_a_selection_becomes_a_file_that_can_be_resumed(pipeline: Pipeline, tmp_path: Path) -> None:
    settings, began = pipeline.settings, datetime.now(UTC).isoformat()
    events = list(mixed_events(2_000))
    await send(pipeline, events)
    await send(pipeline, [an_event(session_id="mine", event_id=str(n), name="dance") for n in range(3)])
    await wait_until_stored(settings, 60)
    mine, whole = tmp_path / "mine.ndjson", tmp_path / "whole.ndjson"

    ran = await eye(settings, "replay", "--to", "file", str(mine), "--session", "mine", "--name", "dance", "--json")
    nobody = await eye(settings, "replay", "--to", "sink", "--session", "nobody", "--yes")
    process = await start_eye(settings, "replay", "--to", "file", str(whole), "--from", began, "--rate", "500")
    run = await until_it_has_read(settings, 500)
    process.kill()
    await process.communicate()
    with whole.open("a") as file:
        file.write('{"what": "the crash left beh')
    resumed = await eye(settings, "replay", "resume", run, "--json")

    assert (nobody.returncode, "no record meets" in nobody.stderr) == (1, True), nobody
    assert (ran.returncode, ran.json["selected"]) == (0, 3), ran
    lines = [json.loads(line) for line in mine.read_text().splitlines()]
    assert [(line["value"]["event_id"], line["key"], line["headers"]["application"]) for line in lines] == [
        (str(number), "mine", "shop") for number in range(3)
    ]
    assert (resumed.returncode, resumed.json["proven"]) == (0, True), resumed
    found = [json.loads(line)["value"]["event_id"] for line in whole.read_text().splitlines()]
    assert len(found) == len(set(found)) == 2_003
    assert set(found) == {event["event_id"] for event in events} | {"0", "1", "2"}
