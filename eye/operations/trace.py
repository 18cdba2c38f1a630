"""`eye trace`: find the steps of an event without a gateway."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from eye.operations.keys import KeyFileError, list_keys
from gateway.problems import Problem
from gateway.query.database import Database
from gateway.query.event_trace import Traces, trace_event
from gateway.query.kafka_reader import Budget, KafkaReader
from schemas.settings import Settings

CONNECT_SECONDS = 10.0
READ_SECONDS = 60.0
READ_BYTES = 1024 * 1024 * 1024


class TraceError(Exception):
    """An event can't be looked for; the message says why."""


async def find_traces(settings: Settings, event_id: str, since: datetime, applications: Iterable[str] = ()) -> Traces:
    """Find every event with an id; of one that is no UUID, of the applications with a key, and of these.

    Raises TraceError while Postgres is away, KafkaError while Kafka is.
    """
    database = Database(settings, CONNECT_SECONDS)
    await database.open()
    try:
        async with KafkaReader(settings, Budget(READ_SECONDS, READ_BYTES)) as kafka:
            known = {*applications, *_applications(settings)}
            return await trace_event(settings, database, kafka, event_id, known, since)
    except Problem as problem:
        raise TraceError(problem.detail) from problem
    finally:
        await database.close()


def _applications(settings: Settings) -> set[str]:
    try:
        return {entry.application for entry in list_keys(settings.applications_file)}
    except KeyFileError:
        return set()
