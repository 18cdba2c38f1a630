"""Find the events that a vendor's SDK sent to a running gateway in Postgres."""

from __future__ import annotations

import asyncio
import json
import os
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import dict_row

from eye.local.choice import Kafka
from schemas.ids import row_id
from tests.conftest import KEY
from tests.support.pipeline import Pipeline

EVENTS = int(os.environ.get("EYE_SENDERS_EVENTS", "200"))
"""Events that each SDK delivers."""

OUTAGE = float(os.environ.get("EYE_SENDERS_OUTAGE", "0"))
"""Seconds for which Kafka is stopped in the middle of that; 0: not at all."""

IDS, TOLD = "ids.json", ".told"
"""The file of the ids that a program gets, and the ending of the one that it writes where its SDK makes them."""

LONGEST = 170 + 2 * OUTAGE + EVENTS / 20
"""Most seconds that a delivery may take."""

_COUNTS = """
    select kind, event_id::text, count(*) as number
    from (
        select 'row' as kind, event_id from eye.events
        union all select 'rejected', event_id from eye.rejected_events
    ) as stored
    where event_id = any(%s) group by 1, 2
"""


class Senders(NamedTuple):
    """A running pipeline that accepts any event type; its Kafka is its own where it is to be stopped."""

    pipeline: Pipeline
    kafka: Kafka | None


def fresh_ids(prefix: str = "") -> list[str]:
    """Return an id for each event to send: UUIDs, or what a prefix makes of them."""
    return [f"{prefix}{uuid.uuid4()}" for _ in range(EVENTS)]


async def deliver(senders: Senders, command: Sequence[str], ids: Sequence[str], directory: Path) -> Counter[str]:
    """Run an SDK's program until it has delivered, and wait until each event is stored; returns how many as what.

    Kafka is stopped in the middle, where the run says so. Fails where an event is there twice, or not at all.
    """
    file = directory / IDS
    file.write_text(json.dumps(ids))
    arguments = [senders.pipeline.gateway.url, KEY, str(file), str(OUTAGE * 1.5)]
    log = directory / "log"
    with log.open("w") as output:
        process = await asyncio.create_subprocess_exec(*command, *arguments, stdout=output, stderr=output)
        try:
            async with asyncio.timeout(LONGEST):
                await stop_in_between(senders, lambda: _stored_share(senders, directory))
                await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    assert process.returncode == 0, log.read_text()[-3000:]
    assert len(sent_ids(directory)) == len(ids)
    return await each_once(senders, sent_ids(directory))


def sent_ids(directory: Path) -> list[str]:
    """Return the ids of a program's events, as far as they are known: those it was given, or those its SDK made."""
    told = (directory / IDS).with_suffix(TOLD)
    made = told.read_text().split() if told.exists() else []
    given: list[str] = json.loads((directory / IDS).read_text())
    return made or given


async def each_once(senders: Senders, ids: Sequence[str]) -> Counter[str]:
    """Wait until each event is stored; returns how many are rows and how many rejected events."""
    deadline = asyncio.get_running_loop().time() + 60 + OUTAGE + EVENTS / 100
    while True:
        found = await _counts(senders, ids)
        if len({one["event_id"] for one in found}) == len(set(ids)):
            break
        assert asyncio.get_running_loop().time() < deadline, f"{len(found)} of {len(ids)} are stored"
        await asyncio.sleep(0.2)
    assert len(found) == len(ids), "an event is a row and a rejected one"
    assert all(one["number"] == 1 for one in found)
    return Counter(one["kind"] for one in found)


async def row(senders: Senders, event_id: str) -> dict[str, Any]:
    """Return the row of an event."""
    found = await _select(senders, "select * from eye.events where event_id = %s", row_id("shop", event_id))
    return found[0]


async def categories(senders: Senders, ids: Sequence[str]) -> set[str]:
    """Return the categories of events that have rows."""
    query = "select distinct category from eye.events where event_id = any(%s)"
    found = await _select(senders, query, [row_id("shop", event_id) for event_id in ids])
    return {one["category"] for one in found}


async def row_of_user(senders: Senders, user: str) -> dict[str, Any]:
    """Return the latest row of a user's events that have a name of their own, once there is one."""
    query = "select * from eye.events where user_id = %s and category <> name"
    async with asyncio.timeout(60):
        while not (found := await _select(senders, query, user)):  # noqa: ASYNC110 - a database has no asyncio.Event
            await asyncio.sleep(0.1)
    return found[-1]


async def _counts(senders: Senders, ids: Sequence[str]) -> list[dict[str, Any]]:
    return await _select(senders, _COUNTS, [row_id("shop", event_id) for event_id in ids])


async def _select(senders: Senders, query: str, *parameters: object) -> list[dict[str, Any]]:
    dsn = senders.pipeline.settings.dsn
    async with await psycopg.AsyncConnection.connect(dsn, row_factory=dict_row, autocommit=True) as connection:
        return await (await connection.execute(query.encode(), parameters)).fetchall()


async def stop_in_between(senders: Senders, share: Callable[[], Awaitable[float]]) -> None:
    """Stop Kafka for a while once a tenth of the events has come, where the run says so."""
    if senders.kafka is None or not OUTAGE:
        return
    while await share() < 0.1:  # noqa: ASYNC110 - a database has no asyncio.Event
        await asyncio.sleep(0.2)
    await asyncio.to_thread(senders.kafka.stop)
    await asyncio.sleep(OUTAGE)
    senders.kafka.start()  # by this thread: a server ends with the thread that started it


async def _stored_share(senders: Senders, directory: Path) -> float:
    return len(await _counts(senders, sent_ids(directory))) / EVENTS
