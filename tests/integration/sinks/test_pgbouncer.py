"""PgBouncer in transaction mode between The Eye and Postgres: rows, positions and reads as without it."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from pydantic import SecretStr

from eye.local.postgres import accepts_connections
from eye.local.remembered_settings import free_port
from schemas.settings import Settings
from schemas.topics import topic_names
from sinks.months import make_partitions
from sinks.postgres.migrate import migrate
from sinks.postgres.pool import lend, make_pool
from sinks.retention import Policy, take_out_expired
from sinks.table_topics import partition_works
from tests.integration.gateway.test_json_builders import a_gateway
from tests.integration.sinks.event_rows import a_registry
from tests.integration.sinks.test_group_commit import a_chunk
from tests.support.pipeline import poll
from tests.unit.sinks.test_binary_builders import a_rejected_event, a_session_record, a_verdict_record, events

_CONFIGURATION = """
[databases]
* = host=127.0.0.1 port={server_port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = plain
auth_file = {directory}/users
pool_mode = transaction
default_pool_size = 3
max_client_conn = 200
user = {user}
"""


@pytest.fixture
def pooled(dsn: str, tmp_path: Path) -> Iterator[str]:
    """Run PgBouncer with three server connections; returns the connection string that leads through it."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("PgBouncer is missing: install it, on Debian by `apt-get install pgbouncer`.")
    server, port = conninfo_to_dict(dsn), free_port()
    configuration, users = tmp_path / "pgbouncer.ini", tmp_path / "users"
    users.write_text(f'"{server["user"]}" "{server["password"]}"\n')
    user = "postgres" if os.getuid() == 0 else ""
    configuration.write_text(
        _CONFIGURATION.format(server_port=server["port"], port=port, directory=tmp_path, user=user)
    )
    for directory in (tmp_path, *list(tmp_path.parents)[:3]):
        directory.chmod(directory.stat().st_mode | 0o055)
    process = subprocess.Popen([program, str(configuration)])
    through = make_conninfo(dsn, host="127.0.0.1", port=port)
    try:
        poll(lambda: process.poll() is not None or accepts_connections(through), 30, "PgBouncer")
        assert process.poll() is None, "PgBouncer has ended; its messages are above"
        yield through
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(10)


async def test_many_partitions_are_stored_over_three_connections(pooled: str, dsn: str) -> None:
    topics = topic_names(Settings())

    async def bounds(topic: str, partition: int) -> tuple[int, int]:
        return 0, 1_000_000

    async with make_pool(Settings(postgres_dsn=SecretStr(pooled), postgres_write_connections=10)) as pool:
        works = partition_works(Settings(), pool, a_registry(), bounds)

        async def work(partition: int) -> None:
            for start in (0, 50, 100):
                rejected, session = a_verdict_record(a_rejected_event()), a_session_record(f"s{partition}", start + 1)
                chunks = [
                    a_chunk(events(50), partition, start=start),
                    a_chunk([rejected], partition, topic=topics.rejected, start=start // 50),
                    a_chunk([session], partition, topic=topics.sessions, start=start // 50),
                ]
                for chunk in chunks:
                    await opened[chunk.topic, partition].process(chunk)

        opened = {(topic, number): works[topic](number) for topic in works for number in range(8)}
        await asyncio.gather(*(work.open() for work in opened.values()))
        await asyncio.gather(*(work(partition) for partition in range(8)))

    with psycopg.connect(dsn) as connection:
        counts = [
            connection.execute(f"select count(*) from eye.{table}".encode()).fetchone()
            for table in ("events", "rejected_events", "sessions")
        ]
    assert counts == [(1200,), (24,), (8,)]


async def test_reading_leaves_no_connection_read_only(pooled: str, settings: Settings) -> None:
    through = settings.model_copy(update={"postgres_dsn": SecretStr(pooled)})

    async with a_gateway(through, until_ready=False) as client:
        for _ in range(30):
            async with client.get("/sessions") as answer:
                assert answer.status == 200
    async with make_pool(through) as pool:
        written = [await make_partitions(pool) for _ in range(10)]

    assert len(written[0]) == 5


async def test_migrations_and_retention_run_through_it(pooled: str) -> None:
    now = datetime.now(UTC)
    policy = Policy(events=None, rejected=timedelta(days=1), sessions=timedelta(days=1), replaced=timedelta(days=1))

    assert await migrate(pooled) == []
    async with make_pool(Settings(postgres_dsn=SecretStr(pooled))) as pool, lend(pool) as connection:
        assert await take_out_expired(connection, policy, now) is not None
        assert await take_out_expired(connection, policy, now) is not None
