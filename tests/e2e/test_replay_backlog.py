"""A replay of all there is takes the backlog over: new events do not wait behind it, and none is left behind."""

from __future__ import annotations

import asyncio
import os
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg

from eye.ledger import take_ledger
from eye.replay.run import LIVE
from eye.settled import wait_until_settled
from schemas.settings import Settings
from tests.e2e.replays import checksums, drop_and_migrate, eye, mixed_events, send, start_eye, until_it_has_read
from tests.pipeline import Pipeline, an_event

EVENTS = int(os.environ.get("EYE_DRILL_EVENTS", "5000"))


@asynccontextmanager
async def taken_over(settings: Settings) -> AsyncIterator[tuple[Pipeline, Process, str]]:
    """Lose the schema, and replay all of it slowly; the sinks come back when the replay has begun."""
    with Pipeline(settings) as pipeline:
        await send(pipeline, list(mixed_events(EVENTS)))
        await wait_until_settled(settings, 120)
        await asyncio.sleep(LIVE.total_seconds())  # what is younger is no backlog
        for worker in pipeline.sinks:
            worker.stop(15)
        await drop_and_migrate(settings)
        process = await start_eye(settings, "replay", "--to", "sink", "--all", "--yes", "--rate", str(EVENTS / 20))
        try:
            run = await until_it_has_read(settings, 1)
            for worker in pipeline.sinks:
                worker.start()
            yield pipeline, process, run
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()


def new_rows(settings: Settings) -> int:
    with psycopg.connect(settings.dsn) as connection:
        rows = connection.execute("select count(*) from eye.events where session_id = 'new'").fetchone()
    assert rows is not None
    return int(rows[0])


def held(settings: Settings) -> int:
    with psycopg.connect(settings.dsn) as connection:
        found = connection.execute("select coalesce(sum(end_offset - next_offset), 0) from eye.backlogs").fetchone()
    assert found is not None
    return int(found[0])


async def send_and_see(pipeline: Pipeline) -> None:
    """Send new events, and wait until they are stored."""
    await send(pipeline, [an_event(session_id="new") for _ in range(10)])
    async with asyncio.timeout(10):
        while True:
            if await asyncio.to_thread(new_rows, pipeline.settings) == 10:
                return
            await asyncio.sleep(0.05)


async def test_new_events_are_stored_while_the_backlog_still_waits_and_a_cancelled_run_leaves_none(
    settings: Settings,
) -> None:
    async with taken_over(settings) as (pipeline, process, run):
        await send_and_see(pipeline)
        waiting = held(settings)
        doctor = await eye(settings, "doctor", "--json")
        cancelled = await eye(settings, "replay", "cancel", run, "--yes")
        await process.communicate()
        await wait_until_settled(settings, 60)
        sums, ledger = checksums(settings), await take_ledger(settings)

    assert waiting > EVENTS // 4
    [finding] = [found for found in doctor.json["findings"] if found["what"] == f"replay {run}"]
    assert finding["ok"], finding
    assert (cancelled.returncode, process.returncode) == (0, 1)
    assert sums["events"][0] == sums["event_keys"][0] == EVENTS * 9 // 10 + 10
    assert sums["rejected_events"][0] == EVENTS // 10
    assert (ledger.balanced, ledger.total.in_flight) == (True, 0)


async def test_what_a_killed_run_holds_is_in_flight_and_found_until_it_is_resumed(settings: Settings) -> None:
    async with taken_over(settings) as (pipeline, process, run):
        process.kill()
        await process.communicate()
        await send_and_see(pipeline)
        with psycopg.connect(settings.dsn) as connection:
            connection.execute("update eye.replay_partitions set moved_at = moved_at - interval '1 hour'")
        ledger = await take_ledger(settings)
        doctor = await eye(settings, "doctor", "--json")
        resumed = await eye(settings, "replay", "resume", run, "--json")
        await wait_until_settled(settings, 60)
        sums, after = checksums(settings), await eye(settings, "doctor", "--json")

    assert ledger.balanced
    assert ledger.total.in_flight > EVENTS // 4
    [finding] = [found for found in doctor.json["findings"] if found["what"] == f"replay {run}"]
    assert not finding["ok"]
    assert f"eye replay resume {run}" in finding["mend"]
    assert (resumed.returncode, resumed.json["proven"]) == (0, True), resumed
    assert sums["events"][0] == sums["event_keys"][0] == EVENTS * 9 // 10 + 10
    assert [found["ok"] for found in after.json["findings"] if found["what"] == "replays"] == [True]
