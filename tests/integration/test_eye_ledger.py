"""`eye ledger`: the books balance while all goes well, and tell what is wrong when it does not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg.types.json import Json

from eye.ledger import Ledger, take_ledger
from eye.settled import wait_until_settled
from eye.stack import environment
from schemas.settings import Settings
from tests.integration.test_eye_command import run_eye
from tests.pipeline import Event, Pipeline, an_event, ndjson, numbered_events


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


async def test_every_event_is_accounted_for_by_what_became_of_it(settings: Settings) -> None:
    good, bad, again = an_event(), an_event(data={}), an_event(event_id="order-1")
    with Pipeline(settings) as pipeline:
        await send(pipeline, [good, bad, again, again])
        await send(pipeline, [again, bad])
        await wait_until_settled(settings)
        ledger = await take_ledger(settings)

    assert ledger.balanced
    assert counted(ledger) == {"received": 6, "stored": 2, "rejected": 1, "duplicate": 3}
    assert {line.application for line in ledger.lines} == {"shop"}


async def test_what_nobody_has_judged_yet_is_in_flight(settings: Settings) -> None:
    with Pipeline(settings, streams=0, sinks=0) as pipeline:
        await send(pipeline, [an_event(), an_event(data={})])

        ledger = await take_ledger(settings)

    assert ledger.balanced
    assert counted(ledger) == {"received": 2, "in_flight": 2}


async def test_what_is_judged_and_not_stored_is_in_flight_and_its_repetition_a_duplicate(settings: Settings) -> None:
    event = an_event()
    with Pipeline(settings, streams=1, sinks=0) as pipeline:
        await send(pipeline, [event, event, an_event(data={})])
        ledger = await take_ledger(settings)
        while counted(ledger).get("duplicate") != 1:
            ledger = await take_ledger(settings)

    assert ledger.balanced
    assert counted(ledger) == {"received": 3, "in_flight": 2, "duplicate": 1}


async def test_it_balances_at_every_moment_while_events_stream_in(settings: Settings) -> None:
    events = list(numbered_events(6_000, 50))
    with Pipeline(settings) as pipeline:

        async def send_all() -> None:
            for first in range(0, len(events), 100):
                await send(pipeline, events[first : first + 100])

        sending = asyncio.create_task(send_all())
        seen = []
        while not sending.done():
            seen.append(await take_ledger(settings))
        await sending
        await wait_until_settled(settings)
        last = await take_ledger(settings)

    assert [counted(ledger) for ledger in seen if not ledger.balanced] == []
    assert any(counted(ledger).get("in_flight") for ledger in seen)
    assert counted(last) == {"received": 6_000, "stored": 6_000}


async def test_a_lost_a_foreign_and_a_doubled_row_are_found(settings: Settings) -> None:
    lost, doubled = an_event(), an_event()
    with Pipeline(settings) as pipeline:
        await send(pipeline, [lost, doubled, an_event()])
        await wait_until_settled(settings)
    execute(settings, "delete from eye.event_keys where event_id::text = %s", lost["event_id"])
    execute(settings, "delete from eye.events where event_id::text = %s", lost["event_id"])

    ledger = await take_ledger(settings)

    assert (ledger.balanced, ledger.total.difference) == (False, 1)
    assert [missing.event_id for missing in ledger.missing] == [lost["event_id"]]

    execute(settings, "insert into eye.events select * from eye.events where event_id::text = %s", doubled["event_id"])
    ledger = await take_ledger(settings)

    assert (ledger.balanced, ledger.doubled) == (False, 1)
    assert ledger.total.difference == 0, "one too few and one too many: yet it does not balance"


async def test_hours_and_applications_have_a_line_each_and_times_bound_them(settings: Settings) -> None:
    with Pipeline(settings) as pipeline:
        await send(pipeline, [an_event()])
        await wait_until_settled(settings)
    moment = datetime.now(UTC) - timedelta(hours=3)
    execute(
        settings,
        "insert into eye.rejected_events (event_id, application, received_at, codes, errors, raw, raw_encoding,"
        " raw_truncated) values (gen_random_uuid(), 'till', %s, array['not_json'], %s, '', 'utf-8', false)",
        moment, Json([]),
    )  # fmt: skip

    everything = await take_ledger(settings)
    lately = await take_ledger(settings, since=datetime.now(UTC) - timedelta(hours=2))
    before = await take_ledger(settings, until=moment)

    assert [(line.application, line.difference) for line in everything.lines] == [("shop", 0), ("till", -1)]
    assert (counted(lately), lately.balanced) == ({"received": 1, "stored": 1}, True)
    assert before.lines == []


async def test_the_command_exits_1_when_the_books_do_not_balance(settings: Settings) -> None:
    with Pipeline(settings) as pipeline:
        await send(pipeline, [an_event()])
        await wait_until_settled(settings)
    env = environment(settings)
    ran = await asyncio.to_thread(run_eye, "ledger", "--json", "--since", "1h", env=env)
    told = json.loads(ran.stdout)

    assert (ran.returncode, told["balanced"], told["total"]["stored"]) == (0, True, 1)

    execute(settings, "delete from eye.events")
    execute(settings, "delete from eye.event_keys")
    ran = await asyncio.to_thread(run_eye, "ledger", env=env)

    assert ran.returncode == 1
    assert "missing: shop" in ran.stdout
    assert (await asyncio.to_thread(run_eye, "ledger", "--since", "soon", env=env)).returncode == 2
