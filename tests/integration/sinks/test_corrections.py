"""Verdicts that were published again: whatever the order they come in, the latest run's counts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest
from psycopg import AsyncConnection

from schemas.record import REDRIVE, REPLAY, Record
from schemas.verdict import Verdict
from sinks.tables.corrections import event_writer, lock_verdicts, rejected_writer
from sinks.tables.events import event_rows
from sinks.tables.rejected_events import rejected_rows
from tests.unit.sinks.test_binary_builders import a_rejected_event, a_verdict_record, an_accepted_event

ID = "0f1a2b3c-4d5e-4f60-8172-8394a5b6c7d8"
PASSED, FAILED = an_accepted_event(event_id=ID, data=b'{"n": 1}'), a_rejected_event(event_id=ID)


@pytest.fixture
async def connection(dsn: str) -> AsyncIterator[AsyncConnection]:
    """Connect, in a transaction that ends with the test."""
    async with await AsyncConnection.connect(dsn) as connection:
        yield connection


def published(verdict: Verdict, run: str | None = None, *, redrive: bool = False, offset: int = 5) -> Record:
    """Make the record of a verdict on the raw record at ten times the offset, published by the stream or by a run."""
    record = a_verdict_record(verdict, offset=offset)
    again = [(REPLAY, run.encode())] if run is not None else []
    return replace(record, headers=[*record.headers, *again, *([(REDRIVE, b"r")] if redrive else [])])


async def store(connection: AsyncConnection, *records: Record) -> None:
    for record in records:
        if b'"errors"' in (record.value or b""):
            await rejected_writer().write(connection, rejected_rows([record]).rows)
        else:
            await event_writer().write(connection, event_rows([record]).rows)


async def stored(connection: AsyncConnection) -> Any:
    """Return the events' data, the keys' number, and by whom each rejected event was redriven."""
    queries = (
        "select data->>'n' from eye.events",
        "select count(*) from eye.event_keys",
        "select redriven_by from eye.rejected_events",
    )
    events, [(keys,)], rejected = [await (await connection.execute(query)).fetchall() for query in queries]
    return [n for (n,) in events], keys, [run for (run,) in rejected]


CHANGED = an_accepted_event(event_id=ID, data=b'{"n": 2}')


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        ([published(FAILED), published(PASSED, "run-1")], (["1"], 1, [])),
        ([published(PASSED), published(FAILED, "run-1")], ([], 0, [None])),
        ([published(PASSED), published(CHANGED, "run-1")], (["2"], 1, [])),
        ([published(PASSED), published(FAILED, "run-1"), published(CHANGED, "run-2")], (["2"], 1, [])),
        ([published(FAILED), published(PASSED, "run-1"), published(FAILED, "run-2")], ([], 0, [None])),
        ([published(FAILED), published(CHANGED, "run-1", redrive=True)], (["2"], 1, ["run-1"])),
        ([published(PASSED), published(FAILED, "run-1"), published(CHANGED, offset=6)], (["2"], 1, [None])),
    ],
    ids=[
        "mended", "condemned", "other content", "condemned and mended", "mended and condemned", "redriven",
        "condemned, sent again",
    ],
)  # fmt: skip
async def test_in_whatever_order_verdicts_come_the_rows_are_the_same(
    dsn: str, records: Sequence[Record], expected: Any
) -> None:
    orders = list(permutations(records))
    if len({dict(record.headers)["source"] for record in records}) > 1:
        orders = orders[:1]  # of one event under two records the first counts
    for order in orders:
        async with await AsyncConnection.connect(dsn) as connection:
            await store(connection, *order, *order)

            assert await stored(connection) == expected
            await connection.rollback()


async def test_a_chunk_may_hold_a_verdict_and_what_replaced_it(connection: AsyncConnection) -> None:
    rows = event_rows([published(PASSED), published(CHANGED, "run-1"), published(CHANGED, "run-1")]).rows

    assert await event_writer().write(connection, rows) == 1
    assert await stored(connection) == (["2"], 1, [])


async def test_an_event_that_moves_to_another_time_is_there_once(connection: AsyncConnection) -> None:
    moved = an_accepted_event(event_id=ID, occurred_at=PASSED.occurred_at.replace(year=2031), data=b'{"n": 3}')

    await store(connection, published(PASSED), published(moved, "run-1"))

    assert await stored(connection) == (["3"], 1, [])


async def test_who_replaces_verdicts_waits_for_those_who_store_some(dsn: str) -> None:
    async with await AsyncConnection.connect(dsn) as first, await AsyncConnection.connect(dsn) as second:
        await store(first, published(FAILED))
        replacing = asyncio.create_task(lock_verdicts(second, 0, exclusive=True))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(replacing), 0.3)

        await first.commit()

        await asyncio.wait_for(replacing, 60)
