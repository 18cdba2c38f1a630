"""Postgres in no state to store: the sink waits, says so, sets no row aside, and goes on by itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import pytest
from faust.types import TP
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from pydantic import SecretStr

from eye.local.postgres import LocalPostgres
from schemas.settings import Settings
from sinks.postgres.migrate import migrate
from sinks.postgres.pool import make_pool
from stream.runner.flow_control import FlowControl
from stream.runner.partitions import Partitions, PartitionStatus
from tests.integration.sinks.event_rows import event_work, refused_events
from tests.support.pipeline import poll
from tests.unit.sinks.test_binary_builders import a_chunk, events

TOPIC = TP("some.topic", 0)


class Sink:
    """A partition of a sink as a worker runs it, and what it has come to."""

    def __init__(self, partitions: Partitions, reading: FlowControl) -> None:
        self._partitions = partitions
        self._reading = reading

    @property
    def status(self) -> PartitionStatus:
        return self._partitions.status()[TOPIC]

    async def until(self, condition: Callable[[PartitionStatus], bool]) -> None:
        """Wait for a state; hands the chunk over whenever it is asked for, as the consumer would."""
        async with asyncio.timeout(60):
            while not condition(self.status):
                for tp, offset in self._reading.take_seeks().items():
                    self._reading.sought(tp, offset)
                    if offset == 0:
                        self._reading.advance(tp, 20)
                        self._partitions.deliver(a_chunk(self.records))
                await self._reading.wait_for_change(0.05)

    records = events(20)


@asynccontextmanager
async def a_sink(dsn: str) -> AsyncIterator[Sink]:
    async with make_pool(Settings(postgres_dsn=SecretStr(dsn))) as pool:
        reading = FlowControl()
        partitions = Partitions(reading, lambda topic, partition: event_work(pool))
        partitions.start([TOPIC])
        yield Sink(partitions, reading)
        await partitions.stop()


def failing(times: int) -> Callable[[PartitionStatus], bool]:
    return lambda status: status.failures >= times and status.error is not None


def stored(status: PartitionStatus) -> bool:
    return status.position == 20


def rows(dsn: str) -> tuple[int, int]:
    """Return how many events are stored, and how many set aside."""
    with psycopg.connect(dsn) as connection:
        found = connection.execute(
            "select (select count(*) from eye.events), (select count(*) from eye.rejected_events)"
        ).fetchone()
    assert found is not None
    return found


def read_only(dsn: str) -> bool:
    """Return whether a server refuses writes on new connections."""
    with psycopg.connect(dsn) as connection:
        return connection.execute("show default_transaction_read_only").fetchone() == ("on",)


_FAIL = """
create function eye.fail() returns trigger language plpgsql as
$$ begin raise exception 'this is not the row''s fault' using errcode = '{}'; end $$;
create trigger fail before insert on eye.events for each row execute function eye.fail();
"""


@pytest.mark.parametrize(
    "state",
    [
        pytest.param("53100", id="disk full"),
        pytest.param("53200", id="out of memory"),
        pytest.param("58030", id="input or output error"),
        pytest.param("25006", id="read-only transaction"),
        pytest.param("55P03", id="lock timeout"),
        pytest.param("40P01", id="deadlock"),
        pytest.param("57014", id="statement timeout"),
        pytest.param("57P01", id="shutting down"),
        pytest.param("42501", id="missing privilege"),
        pytest.param("XX000", id="internal error"),
    ],
)
async def test_an_error_that_is_no_rows_fault_is_waited_out(dsn: str, state: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(_FAIL.format(state).encode())

        async with a_sink(dsn) as sink:
            await sink.until(failing(3))
            assert rows(dsn) == (0, 0)
            connection.execute("drop trigger fail on eye.events")
            await sink.until(stored)

    assert rows(dsn) == (20, 0)


async def test_a_database_that_is_read_only_is_waited_for(dsn: str) -> None:
    name = sql.Identifier(str(conninfo_to_dict(dsn)["dbname"]))
    with psycopg.connect(dsn, autocommit=True, options="-c default_transaction_read_only=off") as connection:
        connection.execute(sql.SQL("alter database {} set default_transaction_read_only = on").format(name))

        async with a_sink(dsn) as sink:
            await sink.until(failing(1))
            assert sink.status.position is None
            connection.execute(sql.SQL("alter database {} reset default_transaction_read_only").format(name))
            await sink.until(stored)

    assert rows(dsn) == (20, 0)


async def test_after_a_failover_the_server_that_takes_writes_is_found(dsn: str, tmp_path: Path) -> None:
    new = conninfo_to_dict(dsn)
    name = str(new["dbname"])
    (tmp_path / "password").write_text(str(new["password"]))
    old = LocalPostgres(tmp_path)
    old.start()
    try:
        with psycopg.connect(old.dsn, autocommit=True) as connection:
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
            await migrate(make_conninfo(old.dsn, dbname=name))
            ports = f"{conninfo_to_dict(old.dsn)['port']},{new['port']}"

            async with a_sink(make_conninfo(dsn, host="127.0.0.1,127.0.0.1", port=ports)) as sink:
                await sink.until(lambda status: status.position == 0)
                connection.execute("alter system set default_transaction_read_only = on")
                connection.execute("select pg_reload_conf()")
                await asyncio.to_thread(poll, lambda: read_only(old.dsn), 30, "read-only")
                connection.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [name])
                await sink.until(stored)
    finally:
        old.stop()

    assert rows(dsn) == (20, 0)


async def test_when_most_is_refused_the_partition_stands_still_and_says_why(dsn: str) -> None:
    async with a_sink(dsn) as sink:
        sink.records = refused_events(20)
        await sink.until(failing(2))

        assert "TooManyRefused: more than 10 of the 20 records" in (sink.status.error or "")

    assert rows(dsn) == (0, 0)
