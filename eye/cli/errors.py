"""Errors that a command reports in one sentence instead of a traceback."""

from __future__ import annotations

import psycopg
import psycopg_pool
from aiokafka.errors import KafkaConnectionError, KafkaError

from eye.local.errors import LocalError
from eye.operations.gateways import GatewayError
from eye.operations.keys import KeyFileError
from eye.operations.rights import explain
from eye.operations.send import SendError
from eye.operations.spools.errors import SpoolError
from eye.operations.topics import TopicMissing
from eye.operations.trace import TraceError
from eye.operations.wait_until_stored import NotStoredInTime
from eye.runs.errors import ReplayError
from schemas.catalogue import CatalogueError
from schemas.settings import SettingsError
from sinks.postgres.migrate import MigrationError

EXPECTED_ERRORS = (
    SettingsError, CatalogueError, LocalError, GatewayError, SendError, NotStoredInTime, MigrationError, KeyFileError,
    SpoolError, TopicMissing, TraceError, ReplayError, KafkaError, psycopg.Error, OSError,
)  # fmt: skip


def sentence_of(error: Exception) -> str:
    """Return what a person is told of an expected error: one line that says what does not answer, and its setting."""
    said = explain(error)
    if isinstance(error, psycopg.Error | KafkaError):
        said = " ".join(said.split())
    match error:
        case psycopg_pool.PoolTimeout():
            return f"Postgres doesn't answer ({said}): see that it runs, and EYE_POSTGRES_DSN"
        case KafkaConnectionError() if "bootstrap" in said:
            return "Kafka doesn't answer: see that it runs, and EYE_KAFKA_BOOTSTRAP_SERVERS"
        case KafkaError():
            return said.removeprefix(f"{type(error).__name__}: ")
    return said
