"""`eye ledger`: the books balance while all goes well, and tell what is wrong when it does not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from aiohttp import ClientSession
from psycopg.types.json import Json

from eye.local.stack import environment
from eye.operations.books.ledger import compute_ledger
from eye.operations.books.lines import Ledger
from eye.operations.wait_until_stored import wait_until_stored
from schemas.settings import Settings
from tests.conftest import KEY
from tests.integration.eye.test_command import run_eye
from tests.support.pipeline import Event, Pipeline, an_event, ndjson, numbered_events


@pytest.fixture(scope="module")
def running(shared_settings: Settings) -> Iterator[Pipeline]:
    """Lend a pipeline for all tests that need a whole one; each leaves its books balanced."""
    with Pipeline(shared_settings) as running:
        yield running


@pytest.fixture
def began() -> datetime:
    """Return the time at which the test began: its own events are those received since."""
    return datetime.now(UTC)


def counted(ledger: Ledger) -> dict[str, int]:
    total = ledger.total
    names = ("received", "stored", "rejected", "duplicate", "in_flight")
    return {name: getattr(total, name) for name in names if getattr(total, name)}


async def send(pipeline: Pipeline, events: Sequence[Event]) -> None:
    status, _ = await pipeline.post(ndjson(events), "application/x-ndjson")
    assert status == 202


def execute(settings: Settings, statement: str, *values: Any) -> None:
    with psycopg.connect(settings.dsn) as connection:
        connection.execute(statement.encode(), values)


async def test_every_event_is_accounted_for_by_what_became_of_it(running: Pipeline, began: datetime) -> None:
    good, bad, again = an_event(), an_event(data={}), an_event(event_id="order-1")
    await send(running, [good, bad, again, again])
    await send(running, [again, bad])
    await wait_until_stored(running.settings)

    ledger = await compute_ledger(running.settings, since=began)

    assert ledger.balanced
    assert counted(ledger) == {"received": 6, "stored": 2, "rejected": 1, "duplicate": 3}
    assert {line.application for line in ledger.lines} == {"shop"}


async def test_what_nobody_has_judged_yet_is_in_flight(settings: Settings) -> None:
    with Pipeline(settings, streams=0, sinks=0) as pipeline:
        await send(pipeline, [an_event(), an_event(data={})])

        ledger = await compute_ledger(settings)

    assert ledger.balanced
    assert counted(ledger) == {"received": 2, "in_flight": 2}


async def test_a_judged_event_is_in_flight_and_its_repetition_a_duplicate(settings: Settings) -> None:
    event = an_event()
    with Pipeline(settings, streams=1, sinks=0) as pipeline:
        await send(pipeline, [event, event, an_event(data={})])
        ledger = await compute_ledger(settings)
        while counted(ledger).get("duplicate") != 1:
            ledger = await compute_ledger(settings)

    assert ledger.balanced
    assert counted(ledger) == {"received": 3, "in_flight": 2, "duplicate": 1}


async def test_it_balances_at_every_moment_while_events_stream_in(running: Pipeline, began: datetime) -> None:
    events = list(numbered_events(6_000, 50))

    async def send_all() -> None:
        for first in range(0, len(events), 100):
            await send(running, events[first : first + 100])

    sending = asyncio.create_task(send_all())
    seen = []
    while not sending.done():
        seen.append(await compute_ledger(running.settings, since=began))
    await sending
    await wait_until_stored(running.settings)
    last = await compute_ledger(running.settings, since=began)

    assert [counted(ledger) for ledger in seen if not ledger.balanced] == []
    assert any(counted(ledger).get("in_flight") for ledger in seen)
    assert counted(last) == {"received": 6_000, "stored": 6_000}


async def test_lost_foreign_and_doubled_rows_are_found_until_mended(running: Pipeline, began: datetime) -> None:
    settings, lost, doubled = running.settings, an_event(), an_event()
    await send(running, [lost, doubled, an_event()])
    await wait_until_stored(settings)
    execute(settings, "delete from eye.event_keys where event_id::text = %s", lost["event_id"])
    execute(settings, "delete from eye.events where event_id::text = %s", lost["event_id"])

    ledger = await compute_ledger(settings, since=began)

    assert (ledger.balanced, ledger.total.difference) == (False, 1)
    assert [missing.event_id for missing in ledger.missing] == [lost["event_id"]]

    execute(settings, "insert into eye.events select * from eye.events where event_id::text = %s", doubled["event_id"])
    ledger = await compute_ledger(settings, since=began)

    assert (ledger.balanced, ledger.doubled) == (False, 1)
    assert ledger.total.difference == 0, "one too few and one too many: yet it does not balance"

    one_of_two = "ctid = (select min(ctid) from eye.events where event_id::text = %s)"
    execute(settings, f"delete from eye.events where {one_of_two} and event_id::text = %s", *[doubled["event_id"]] * 2)
    await asyncio.to_thread(run_eye, "replay", "--to", "sink", "--all", "--yes", env=environment(settings))
    ledger = await compute_ledger(settings, since=began)

    assert (ledger.balanced, counted(ledger)) == (True, {"received": 3, "stored": 3})


async def test_hours_and_applications_have_a_line_each_and_times_bound_them(running: Pipeline, began: datetime) -> None:
    settings, moment = running.settings, began - timedelta(hours=3)
    await send(running, [an_event()])
    await wait_until_stored(settings)
    execute(
        settings,
        "insert into eye.rejected_events (event_id, application, received_at, codes, errors, raw, raw_encoding,"
        " raw_truncated) values (gen_random_uuid(), 'till', %s, array['not_json'], %s, '', 'utf-8', false)",
        moment, Json([]),
    )  # fmt: skip

    everything = await compute_ledger(settings)
    lately = await compute_ledger(settings, since=began)
    before = await compute_ledger(settings, until=moment)
    execute(settings, "delete from eye.rejected_events where application = 'till'")

    assert {(line.application, line.difference) for line in everything.lines} == {("shop", 0), ("till", -1)}
    assert [line.hour.hour for line in everything.lines if line.application == "till"] == [moment.hour]
    assert (counted(lately), lately.balanced) == ({"received": 1, "stored": 1}, True)
    assert before.lines == []


async def test_the_command_exits_1_when_the_books_do_not_balance(running: Pipeline, began: datetime) -> None:
    settings, env, event = running.settings, environment(running.settings), an_event()
    await send(running, [event])
    await wait_until_stored(settings)
    ran = await asyncio.to_thread(run_eye, "ledger", "--json", "--since", began.isoformat(), env=env)
    told = json.loads(ran.stdout)

    assert (ran.returncode, told["balanced"], told["total"]["stored"]) == (0, True, 1)

    for table in ("events", "event_keys"):
        execute(settings, f"delete from eye.{table} where event_id::text = %s", event["event_id"])
    ran = await asyncio.to_thread(run_eye, "ledger", "--since", "1h", env=env)
    mended = await asyncio.to_thread(run_eye, "replay", "--to", "sink", "--all", "--yes", env=env)
    again = await asyncio.to_thread(run_eye, "ledger", env=env)

    assert ran.returncode == 1
    assert "missing: shop" in ran.stdout
    assert (mended.returncode, again.returncode) == (0, 0)
    assert (await asyncio.to_thread(run_eye, "ledger", "--since", "soon", env=env)).returncode == 2


async def test_it_tells_what_clients_dropped_themselves(running: Pipeline) -> None:
    settings = running.settings.model_copy(update={"gateway_urls": [running.gateway.url, "http://127.0.0.1:1"]})
    url, headers = f"{running.gateway.url}/client-reports", {"Authorization": f"Bearer {KEY}"}
    report = {"dropped": {"queue_full": 1_200, "closed": 1}}
    async with ClientSession(headers=headers) as client, client.post(url, json=report) as answer:
        assert answer.status == 204

    ledger = await compute_ledger(settings)
    told = await asyncio.to_thread(run_eye, "ledger", env=environment(settings))

    assert ledger.client_drops == [("shop", "closed", 1), ("shop", "queue_full", 1_200)]
    assert "dropped by clients of shop before sending: 1,200 queue_full" in told.stdout
