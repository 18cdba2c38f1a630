"""The local stack: real servers, restarted, killed and orphaned."""

from __future__ import annotations

import asyncio
import os
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from eye.local.errors import StartError
from eye.local.kafka import LocalKafka, answers
from eye.local.postgres import LocalPostgres
from eye.local.process import wait_until

ROOT = Path(__file__).parents[3]

pytestmark = pytest.mark.processes


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalKafka]:
    broker = LocalKafka(tmp_path_factory.mktemp("kafka"))
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalPostgres]:
    server = LocalPostgres(tmp_path_factory.mktemp("postgres"))
    server.start()
    yield server
    server.stop()


def test_a_record_sent_to_kafka_is_read(kafka: LocalKafka) -> None:
    create_topic(kafka, "plain")

    send(kafka, "plain", b"hello")

    assert read(kafka, "plain") == [b"hello"]


def test_a_record_outlives_a_stop_of_kafka(kafka: LocalKafka) -> None:
    create_topic(kafka, "stopped")
    send(kafka, "stopped", b"kept")
    address = kafka.bootstrap_servers

    kafka.stop()
    stopped = not kafka.running and kafka.pid is None
    kafka.start()

    assert stopped
    assert kafka.bootstrap_servers == address
    assert read(kafka, "stopped") == [b"kept"]


def test_a_kafka_with_a_long_log_starts_again(kafka: LocalKafka, monkeypatch: pytest.MonkeyPatch) -> None:
    kafka.stop()
    monkeypatch.setattr("eye.local.process._LOG_LIMIT", 1)

    kafka.start()

    assert kafka.running
    assert kafka.log.with_suffix(".log.1").exists()


def test_a_committed_transaction_outlives_a_kill_of_kafka(kafka: LocalKafka) -> None:
    create_topic(kafka, "killed")
    send(kafka, "killed", b"first", transactional_id="killed")
    address = kafka.bootstrap_servers

    for value in (b"second", b"third"):
        send(kafka, "killed", value, transactional_id="killed", then=kafka.kill)
        kafka.start()

    assert kafka.bootstrap_servers == address
    assert read(kafka, "killed") == [b"first", b"second", b"third"]


def test_a_paused_kafka_is_silent_until_it_resumes(kafka: LocalKafka) -> None:
    port = int(kafka.bootstrap_servers.rpartition(":")[2])

    kafka.pause()
    paused = answers(port), kafka.running
    kafka.resume()

    assert paused == (False, True)
    assert wait_until(lambda: answers(port), 60)


def test_a_kafka_that_can_not_start_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    broker = LocalKafka(tmp_path, extra={"log.retention.hours": "soon"})

    with pytest.raises(StartError, match=r"ended before it was ready.*(?s:.*)Invalid value soon") as failure:
        broker.start()

    assert str(tmp_path / "kafka.log") in str(failure.value)
    assert not broker.running


def test_a_row_outlives_a_stop_of_postgres(postgres: LocalPostgres) -> None:
    query(postgres, "CREATE TABLE stopped AS SELECT 1 AS x")
    dsn = postgres.dsn

    postgres.stop()
    stopped = not postgres.running and postgres.pid is None
    postgres.start()

    assert stopped
    assert postgres.dsn == dsn
    assert query(postgres, "SELECT x FROM stopped") == [(1,)]


def test_a_row_outlives_a_kill_of_postgres(postgres: LocalPostgres) -> None:
    query(postgres, "CREATE TABLE killed AS SELECT 1 AS x")

    with psycopg.connect(postgres.dsn) as connection:
        connection.execute("INSERT INTO killed VALUES (2)")
        connection.commit()
        postgres.kill()
        postgres.start()

    assert query(postgres, "SELECT x FROM killed ORDER BY x") == [(1,), (2,)]


def test_a_reused_process_id_does_not_keep_postgres_down(postgres: LocalPostgres) -> None:
    postgres.kill()
    (postgres.data_dir / "cluster" / "postmaster.pid").write_text(f"{os.getpid()}\n")

    postgres.start()

    assert query(postgres, "SELECT 1") == [(1,)]


def test_a_paused_postgres_is_silent_until_it_resumes(postgres: LocalPostgres) -> None:
    with closing(psycopg.connect(postgres.dsn, autocommit=True)) as connection:
        postgres.pause()
        connection.pgconn.send_query(b"SELECT 1")
        silent = not readable(connection.fileno(), 0.2)
        postgres.resume()

        assert silent
        assert readable(connection.fileno(), 10)


def test_postgres_is_durable_and_speaks_utc_and_utf8(postgres: LocalPostgres) -> None:
    names = ("fsync", "synchronous_commit", "timezone", "server_encoding", "listen_addresses")

    settings = [query(postgres, f"SHOW {name}")[0][0] for name in names]

    assert settings == ["on", "on", "UTC", "UTF8", "127.0.0.1"]


def test_nobody_enters_postgres_without_the_password(postgres: LocalPostgres) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(postgres.dsn, password="guess")

    assert (postgres.data_dir / "password").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("server", ["kafka.LocalKafka", "postgres.LocalPostgres"])
def test_nothing_outlives_a_parent_that_is_killed(server: str, tmp_path: Path) -> None:
    module, _, name = server.partition(".")
    program = f"""
import signal, sys
from pathlib import Path
from eye.local.{module} import {name}
server = {name}(Path(sys.argv[1]))
server.start()
print(server.pid, *server._family(), flush=True)
signal.pause()
"""
    with subprocess.Popen([sys.executable, "-c", program, tmp_path], cwd=ROOT, stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        was_alive = any(map(is_alive, pids))

        parent.kill()

    assert was_alive
    assert wait_until(lambda: not any(map(is_alive, pids)), 60)


def test_a_server_is_not_started_for_a_parent_that_is_gone(tmp_path: Path) -> None:
    launch = [sys.executable, "-I", "-S", str(ROOT / "eye" / "local" / "accounts" / "launch.py")]
    somebody_else = str(os.getppid())
    us = [str(os.getuid()), str(os.getgid()), "-1"]

    done = subprocess.run([*launch, somebody_else, *us, "/bin/echo", "here"], capture_output=True, check=False)

    assert (done.returncode, done.stdout) == (1, b"")


def create_topic(kafka: LocalKafka, topic: str) -> None:
    async def create() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
        await admin.start()
        try:
            await admin.create_topics([NewTopic(topic, 1, 1)])
        finally:
            await admin.close()

    asyncio.run(create())


def send(
    kafka: LocalKafka,
    topic: str,
    value: bytes,
    transactional_id: str | None = None,
    then: Callable[[], None] | None = None,
) -> None:
    """Send one record, in a transaction of its own if an id is given; call `then` when it is acknowledged."""

    async def send() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap_servers, transactional_id=transactional_id)
        await producer.start()
        try:
            if transactional_id is None:
                await producer.send_and_wait(topic, value)
            else:
                async with producer.transaction():
                    await producer.send_and_wait(topic, value)
            if then:
                then()
        finally:
            await producer.stop()

    asyncio.run(send())


def read(kafka: LocalKafka, topic: str) -> list[bytes]:
    """Return what is committed, to the end of the topic's one partition; wait while a transaction is open."""

    async def read() -> list[bytes]:
        partition = TopicPartition(topic, 0)
        values: list[bytes] = []
        consumer = AIOKafkaConsumer(
            bootstrap_servers=kafka.bootstrap_servers,
            isolation_level="read_committed",
            enable_auto_commit=False,
        )
        await consumer.start()
        try:
            consumer.assign([partition])
            await consumer.seek_to_beginning(partition)
            # the high watermark, which is known after a fetch: the end that a reader of committed records is
            # told of comes before what is open
            while await consumer.position(partition) < (consumer.highwater(partition) or 1):
                for records in (await consumer.getmany(timeout_ms=1000)).values():
                    values.extend(record.value for record in records)
        finally:
            await consumer.stop()
        return values

    return asyncio.run(asyncio.wait_for(read(), 60))


def query(postgres: LocalPostgres, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def readable(descriptor: int, deadline: float) -> bool:
    return bool(select.select([descriptor], [], [], deadline)[0])


def is_alive(pid: int) -> bool:
    """Tell whether there is such a process; one that has ended and waits to be noticed is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
