"""Errors that a command reports in one sentence instead of a traceback."""

from __future__ import annotations

import psycopg
from aiokafka.errors import KafkaError

from eye.local.errors import LocalError
from eye.operations.gateways import GatewayError
from eye.operations.keys import KeyFileError
from eye.operations.schemas import PublishedError
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
    PublishedError, SpoolError, TopicMissing, TraceError, ReplayError, KafkaError, psycopg.Error, OSError,
)  # fmt: skip
