"""Expired rows are deleted with their keys; all others stay, and nobody waits long."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta

import msgspec
import psycopg
import pytest
from prometheus_client import CollectorRegistry
from psycopg import AsyncConnection
from pydantic import SecretStr

from eye.local.stack import environment
from eye.runs.runs import latest, new_run_id
from schemas.record import RawRecord
from schemas.settings import Settings
from sinks import retention
from sinks.maintenance import maintain
from sinks.metrics import SinkMetrics
from sinks.postgres.pool import make_pool
from sinks.retention import Expired, Policy, find_expired, policy_of, take_out_expired
from sinks.table_stats import read_table_stats
from sinks.tables.corrections import event_writer
from sinks.tables.events import event_rows
from tests.integration.eye.test_command import run_eye
from tests.unit.sinks.test_binary_builders import a_verdict_record, an_accepted_event

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
LONG_AGO = datetime(2026, 3, 10, tzinfo=UTC)
DAYS = timedelta(days=1)
POLICY = Policy(events=90 * DAYS, rejected=30 * DAYS, sessions=30 * DAYS, replaced=10 * DAYS)
NOTHING = Expired([], 0, 0, 0)


@pytest.fixture
async def connection(dsn: str) -> AsyncIterator[AsyncConnection]:
    async with await AsyncConnection.connect(dsn, autocommit=True) as connection:
        yield connection


async def a_partition(connection: AsyncConnection, month: datetime) -> None:
    """Make the partition of a month, however long ago."""
    end = (month.replace(day=28) + timedelta(days=4)).replace(day=1)
    await connection.execute(
        f"create table eye.events_{month:%Y_%m} partition of eye.events for values from"
        f" ('{month.replace(day=1):%Y-%m-%d}Z') to ('{end:%Y-%m-%d}Z')".encode()
    )


async def store(
    connection: AsyncConnection, occurred_at: datetime, received_at: datetime, number: int = 1
) -> list[RawRecord]:
    """Store events as the sink does; returns their records."""
    events = [an_accepted_event(occurred_at=occurred_at) for _ in range(number)]
    records: list[RawRecord] = [
        a_verdict_record(msgspec.structs.replace(event, received_at=received_at)) for event in events
    ]
    assert await store_records(connection, records) == number
    return records


async def store_records(connection: AsyncConnection, records: Sequence[RawRecord]) -> int:
    async with connection.transaction():
        return await event_writer().write(connection, event_rows(records).rows)


async def count(connection: AsyncConnection, table: str) -> int:
    row = await (await connection.execute(f"select count(*) from eye.{table}".encode())).fetchone()
    assert row is not None
    return int(row[0])


async def test_an_expired_month_is_dropped_with_its_keys(
    connection: AsyncConnection,
) -> None:
    await a_partition(connection, LONG_AGO)
    await a_partition(connection, NOW - 60 * DAYS)
    await store(connection, LONG_AGO, LONG_AGO, 10)
    await store(connection, NOW - 60 * DAYS, NOW - 60 * DAYS, 3)

    due = await find_expired(connection, POLICY, NOW)
    taken = await take_out_expired(connection, POLICY, NOW)

    assert due == taken == Expired(["events_2026_03"], 0, 0, 0)
    assert (await count(connection, "events"), await count(connection, "event_keys")) == (3, 3)
    assert await find_expired(connection, POLICY, NOW) == await take_out_expired(connection, POLICY, NOW) == NOTHING


async def test_a_late_event_stays_known_until_its_own_time_is_up(connection: AsyncConnection) -> None:
    await a_partition(connection, LONG_AGO)
    await store(connection, LONG_AGO, LONG_AGO, 5)
    late = await store(connection, LONG_AGO, NOW - 1 * DAYS, 2)

    await take_out_expired(connection, POLICY, NOW)

    assert (await count(connection, "events_default"), await count(connection, "event_keys")) == (2, 2)
    assert await store_records(connection, late) == 0, "written again they are duplicates still"
    taken = await take_out_expired(connection, POLICY, NOW + 90 * DAYS)
    assert taken == Expired([], 2, 0, 0)
    assert (await count(connection, "events"), await count(connection, "event_keys")) == (0, 0)


async def test_cut_off_in_the_middle_it_is_finished_the_next_time(
    connection: AsyncConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH_BLOCKS", 1)
    await a_partition(connection, LONG_AGO)
    await store(connection, LONG_AGO, LONG_AGO, 300)
    late = await store(connection, LONG_AGO, NOW, 300)
    with monkeypatch.context() as broken:
        broken.setattr(retention, "_DROP", "select 1 / 0 where %s::text is not null")
        with pytest.raises(psycopg.errors.DivisionByZero):
            await take_out_expired(connection, POLICY, NOW)

    taken = await take_out_expired(connection, POLICY, NOW)

    assert taken == Expired(["events_2026_03"], 0, 0, 0)
    assert (await count(connection, "events"), await count(connection, "event_keys")) == (300, 300)
    assert await store_records(connection, late) == 0


async def test_rejected_events_and_sessions_leave_in_batches(
    connection: AsyncConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH_ROWS", 7)
    monkeypatch.setattr(retention, "BATCH_BLOCKS", 1)
    for number in range(100):
        moment = NOW - (40 if number % 2 else 20) * DAYS
        await reject(connection, moment)
        await connection.execute(
            "insert into eye.sessions (session_id, applications, revision, status, event_count, rejected_count,"
            " counts_by_type, updated_at) values (%s, '{}', 1, 'closed', 1, 0, '{}', %s)",
            (f"s-{number}", moment),
        )

    taken = await take_out_expired(connection, POLICY, NOW)

    assert taken == Expired([], 0, 50, 50)
    assert (await count(connection, "rejected_events"), await count(connection, "sessions")) == (50, 50)


async def reject(connection: AsyncConnection, received_at: datetime) -> uuid.UUID:
    """Store a rejected event; returns its id."""
    event_id = uuid.uuid4()
    await connection.execute(
        "insert into eye.rejected_events (event_id, application, received_at, codes, errors, raw, raw_encoding,"
        " raw_truncated) values (%s, 'shop', %s, '{}', '[]', '', 'utf-8', false)",
        (event_id, received_at),
    )
    return event_id


async def test_replaced_verdicts_are_known_while_kafka_may_hold_the_first(
    connection: AsyncConnection,
) -> None:
    for days in (9, 11, 40):
        await connection.execute(
            "insert into eye.replaced_verdicts values (gen_random_uuid(), 'shop', 0, %s, %s, false)",
            (days, new_run_id(NOW - days * DAYS)),
        )

    due = await find_expired(connection, POLICY, NOW)
    taken = await take_out_expired(connection, POLICY, NOW)

    assert due == taken == Expired([], 0, 0, 0, replaced_verdicts=2)
    assert due.anything
    left = await (await connection.execute("select source_offset from eye.replaced_verdicts")).fetchall()
    assert left == [(9,)]


async def test_a_run_whose_notes_have_left_still_says_what_it_changed(dsn: str, connection: AsyncConnection) -> None:
    await connection.execute(
        "insert into eye.replays (run, target, selection, options, started_by, result)"
        """ values ('20260101-000000-0001', 'redrive', '{"topics": []}', '{}', 'me', '{"changed": 7}')"""
    )
    async with make_pool(Settings(postgres_dsn=SecretStr(dsn))) as pool:
        [run] = await latest(pool, 1)

    assert run.changed == 7


async def test_redrive_attempts_are_kept_as_long_as_the_rejected_event(connection: AsyncConnection) -> None:
    gone, leaves, stays, lately = (
        uuid.uuid4(), await reject(connection, NOW - 40 * DAYS), await reject(connection, NOW - 20 * DAYS), uuid.uuid4()
    )  # fmt: skip
    for event_id, days in ((gone, 31), (leaves, 31), (stays, 31), (lately, 29)):
        await connection.execute(
            "insert into eye.redrive_attempts values (%s, 'shop', 1, 'run', %s)", (event_id, NOW - days * DAYS)
        )

    due = await find_expired(connection, POLICY, NOW)
    taken = await take_out_expired(connection, POLICY, NOW)

    assert due == taken == Expired([], 0, 1, 0, redrive_attempts=2)
    left = await (await connection.execute("select event_id from eye.redrive_attempts")).fetchall()
    assert {event_id for (event_id,) in left} == {stays, lately}


async def test_by_default_all_is_kept_for_ever(connection: AsyncConnection) -> None:
    await a_partition(connection, LONG_AGO)
    await store(connection, LONG_AGO, LONG_AGO)
    policy = policy_of(Settings())

    assert await take_out_expired(connection, policy, NOW + 10_000 * DAYS) == NOTHING
    assert await count(connection, "events") == 1


def test_rows_are_kept_for_as_long_as_kafka_may_hold_their_records() -> None:
    short = Settings(events_retention_days=1, raw_retention_hours=48, validated_retention_hours=240)
    long = Settings(events_retention_days=100)
    others = short.model_copy(update={"rejected_retention_days": 1, "sessions_retention_days": 1})

    assert (policy_of(short).events, policy_of(long).events) == (17 * DAYS, 100 * DAYS)
    assert (policy_of(others).rejected, policy_of(others).sessions) == (37 * DAYS, 9 * DAYS)
    assert (policy_of(long).rejected, policy_of(long).sessions) == (None, None)
    assert policy_of(short).replaced == 37 * DAYS, "that of events.rejected, by default the longest"


async def test_only_one_does_it_at_a_time(dsn: str, connection: AsyncConnection) -> None:
    async with await AsyncConnection.connect(dsn, autocommit=True) as other:
        await other.execute("select pg_advisory_lock(hashtext('eye.operations.retention'))")

        assert await take_out_expired(connection, POLICY, NOW) is None
        await other.execute("select pg_advisory_unlock_all()")

    assert await take_out_expired(connection, POLICY, NOW) == NOTHING


async def test_events_may_be_stored_while_partitions_leave(dsn: str, connection: AsyncConnection) -> None:
    for days in range(100, 240, 28):
        await a_partition(connection, NOW - days * DAYS)
    stop = asyncio.Event()

    async def store_many() -> int:
        stored = 0
        async with await AsyncConnection.connect(dsn, autocommit=True) as own:
            while not stop.is_set():
                for days in (0, 100, 128, 156, 184, 212):
                    stored += len(await store(own, NOW - days * DAYS, NOW))
        return stored

    storing = [asyncio.create_task(store_many()) for _ in range(2)]
    await asyncio.sleep(0.2)
    taken = await take_out_expired(connection, POLICY, NOW)
    stop.set()
    stored = sum(await asyncio.gather(*storing))

    assert taken is not None
    assert len(taken.partitions) == 4, "the first of them is not due yet"
    assert (await count(connection, "events"), await count(connection, "event_keys")) == (stored, stored)


async def test_a_sink_stores_events_of_months_without_a_partition(connection: AsyncConnection) -> None:
    """There is none at all here; the state of the tables tells, and tending them mends it."""
    await store(connection, datetime.now(UTC), datetime.now(UTC), 3)
    before = await read_table_stats(connection)
    settings = Settings(postgres_dsn=SecretStr(connection.info.dsn + f" password={connection.info.password}"))
    async with make_pool(settings) as pool:
        await maintain(pool, policy_of(settings))
    after = await read_table_stats(connection)

    assert (before.months_ahead, before.default_rows) == (0, 3)
    assert (after.months_ahead, after.default_rows) == (3, 0)
    assert await count(connection, "events") == 3


async def test_the_metrics_show_the_state_of_the_tables(connection: AsyncConnection) -> None:
    await store(connection, LONG_AGO, NOW)
    registry = CollectorRegistry()

    SinkMetrics(registry).show(await read_table_stats(connection), LONG_AGO + 2 * DAYS)

    assert registry.get_sample_value("eye_events_partitions_ahead") == 0
    assert registry.get_sample_value("eye_events_default_rows") == 1
    assert registry.get_sample_value("eye_oldest_row_seconds", {"table": "events"}) == 2 * 86_400


async def test_by_hand_it_shows_asks_and_does(dsn: str, connection: AsyncConnection) -> None:
    env = environment(Settings(postgres_dsn=SecretStr(dsn), events_retention_days=30))
    await a_partition(connection, datetime(2021, 1, 1, tzinfo=UTC))
    await store(connection, datetime(2021, 1, 5, tzinfo=UTC), datetime(2021, 1, 5, tzinfo=UTC))

    shown = await asyncio.to_thread(run_eye, "retention", "--dry-run", "--json", env=env)
    refused = await asyncio.to_thread(run_eye, "retention", env=env)

    assert json.loads(shown.stdout)["partitions"] == ["events_2021_01"]
    assert (refused.returncode, await count(connection, "events")) == (1, 1)
    assert "--yes" in refused.stderr

    done = await asyncio.to_thread(run_eye, "retention", "--yes", env=env)

    assert (done.returncode, await count(connection, "events")) == (0, 0)
    assert "events_2021_01" in done.stdout
