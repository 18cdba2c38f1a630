"""Drills that take Kafka, Postgres or the spool's disk away."""

from __future__ import annotations

import psycopg

from eye.local.process import wait_until
from tests.faults.drills.registry import drill
from tests.faults.harness.field import Field, start


@drill("kafka-killed")
def kafka_killed(field: Field) -> None:
    """kill -9 of Kafka, whose log has to be recovered; it is started again."""
    for _ in field.times(4, 1):
        field.kafka.kill()
        start(field.kafka)


@drill("kafka-restarted")
def kafka_restarted(field: Field) -> None:
    """Kafka is stopped in good order and started again."""
    for _ in field.times(4, 1):
        field.kafka.stop()
        start(field.kafka)


@drill("kafka-away")
def kafka_away(field: Field) -> None:
    """Kafka is away for two minutes while 500 events a second go on coming."""
    field.moment()
    field.kafka.stop()
    field.stay(120, 15)
    start(field.kafka)


@drill("spool-full", settings={"spool_max_bytes": 300_000})
def spool_full(field: Field) -> None:
    """Kafka is away until the gateway's spool has reached its bound: from then on it answers with 503."""
    fill_spool(field)


@drill("spool-disk-full", spool_disk_mib=2)
def spool_disk_full(field: Field) -> None:
    """Kafka is away until the disk of the gateway's spool is full: from then on it answers with 503."""
    fill_spool(field)


def fill_spool(field: Field) -> None:
    field.moment()
    field.kafka.kill()
    field.demand(wait_until(lambda: field.traffic.refused > 0, 120), "the spool never became full")
    field.stay(20, 3)
    start(field.kafka)


@drill("postgres-killed")
def postgres_killed(field: Field) -> None:
    """kill -9 of Postgres in the middle of a COPY; it is started again."""
    slow_down_copy(field)
    for _ in field.times(5, 2):
        with psycopg.connect(field.pipeline.settings.dsn, autocommit=True) as connection:
            copying = wait_until(lambda: is_copying(connection), 30)
            field.postgres.kill()
        field.demand(copying, "Postgres was not killed in the middle of a COPY")
        start(field.postgres)


def slow_down_copy(field: Field) -> None:
    """Let each event take a millisecond to store, so that a COPY has a middle."""
    with psycopg.connect(field.pipeline.settings.dsn) as connection:
        connection.execute(
            "create function eye.take_time() returns trigger language plpgsql as"
            " $$ begin perform pg_sleep(0.001); return new; end $$"
        )
        connection.execute(
            "create trigger take_time before insert on eye.events for each row execute function eye.take_time()"
        )


def is_copying(connection: psycopg.Connection) -> bool:
    """Tell whether a COPY into this database's tables has taken some rows, and not all."""
    query = "select from pg_stat_progress_copy where tuples_processed > 0 and datname = current_database()"
    return connection.execute(query).fetchone() is not None


@drill("postgres-away")
def postgres_away(field: Field) -> None:
    """Postgres is away for two minutes while events go on coming."""
    field.moment()
    field.postgres.stop()
    field.stay(120, 15)
    start(field.postgres)
