"""A worker frozen in the middle of a COPY: its partition's new owner ends its session, and nobody else's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import LiteralString

import pytest
from psycopg import AsyncConnection, errors, sql
from psycopg.conninfo import make_conninfo
from pydantic import SecretStr

from postgres_client.connection import Session
from schemas.settings import Settings
from sinks.postgres import copy
from sinks.postgres.pool import Pool, make_pool
from sinks.table_partition import TablePartition
from sinks.tables.events import COPY_EVENTS, EventRow, EventWriter
from stream.runner.work import PositionMoved
from tests.integration.sinks.event_rows import event_work, position_and_rows
from tests.unit.sinks.test_binary_builders import a_chunk, events

ROLE = "eye_test_other_role"

MOVE: LiteralString = "update eye.sink_positions set next_offset = next_offset where topic = 'some.topic'"


@pytest.fixture
async def pool(dsn: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pool]:
    """Make a pool of one connection, which waits for a lock for half a second."""
    monkeypatch.setattr("sinks.postgres.pool._SESSION", Session(lock_ms=500))
    async with make_pool(Settings(postgres_dsn=SecretStr(dsn), postgres_write_connections=1)) as pool:
        yield pool


class InTheMiddle(EventWriter):
    """Claims the keys, begins the COPY, and sends no row until it is told to go on."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.go_on = asyncio.Event(), asyncio.Event()

    async def write(self, connection: AsyncConnection, rows: Sequence[EventRow]) -> int:
        async with connection.cursor() as cursor:
            claimed = await self._claim(cursor, rows)
            async with cursor.copy(COPY_EVENTS) as transfer:
                await transfer.write(copy.HEADER)
                self.begun.set()
                await self.go_on.wait()
                for row in claimed:
                    await transfer.write(row.copied)
                await transfer.write(copy.TRAILER)
        return len(claimed)


@asynccontextmanager
async def another_worker(dsn: str, writer: InTheMiddle, count: int) -> AsyncIterator[asyncio.Task[None]]:
    """Run a worker with its own connection that has moved the position and is in the middle of a COPY."""
    async with make_pool(Settings(postgres_dsn=SecretStr(dsn))) as pool:
        work = event_work(pool, writer=writer)
        await work.open()
        task = asyncio.create_task(work.process(a_chunk(events(count))))
        await writer.begun.wait()
        yield task
        writer.go_on.set()
        await asyncio.wait([task])


async def attempts(work: TablePartition[EventRow], most: int) -> int:
    """Return how many attempts failed before the chunk was stored; as many as `most` may."""
    for failed in range(most):
        try:
            await work.process(a_chunk(events(3)))
        except errors.LockNotAvailable:
            continue
        return failed
    return most


async def test_a_worker_frozen_in_a_copy_delays_its_successor_once(
    dsn: str, pool: Pool, caplog: pytest.LogCaptureFixture
) -> None:
    async with another_worker(dsn, InTheMiddle(), 5) as frozen:
        assert await attempts(event_work(pool), 3) == 1

    with pytest.raises(PositionMoved):
        await frozen
    assert await position_and_rows(pool) == (3, 3, 3)
    assert "the position in some.topic:0 is locked by session" in caplog.text
    assert "of eye-sinks, whose client has said nothing for" in caplog.text


async def test_a_frozen_workers_partition_is_opened_without_waiting(dsn: str, pool: Pool) -> None:
    async with another_worker(dsn, InTheMiddle(), 5):
        assert await event_work(pool).open() == 0


async def test_a_session_whose_server_works_is_left_alone(dsn: str, pool: Pool) -> None:
    await event_work(pool).open()
    async with await AsyncConnection.connect(dsn) as working:
        await working.execute(MOVE)
        sleep = asyncio.create_task(working.execute("select pg_sleep(4)"))

        assert await attempts(event_work(pool), 4) == 4

        await sleep


async def test_sessions_of_other_roles_are_left_alone(dsn: str, pool: Pool) -> None:
    await event_work(pool).open()
    async with await AsyncConnection.connect(dsn, autocommit=True) as owner:
        name = sql.Identifier(ROLE)
        await owner.execute(sql.SQL("create role {} login password 'other'").format(name))
        try:
            await owner.execute(sql.SQL("grant usage on schema eye to {}").format(name))
            await owner.execute(sql.SQL("grant select, update on eye.sink_positions to {}").format(name))
            async with await AsyncConnection.connect(make_conninfo(dsn, user=ROLE, password="other")) as other:
                await other.execute(MOVE)

                assert await attempts(event_work(pool), 4) == 4

                await other.execute("select 1")
        finally:
            await owner.execute(sql.SQL("drop owned by {}").format(name))
            await owner.execute(sql.SQL("drop role {}").format(name))


async def test_sessions_that_hold_other_locks_are_left_alone(dsn: str, pool: Pool) -> None:
    await event_work(pool).open()
    async with await AsyncConnection.connect(dsn, autocommit=True) as other, other.transaction():
        await other.execute("insert into eye.sink_positions values ('events', 'some.topic', 1, 0)")
        async with another_worker(dsn, InTheMiddle(), 5):
            assert await attempts(event_work(pool), 3) == 1

        await other.execute("select 1")
