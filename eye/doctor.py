"""`eye doctor`: what is wrong with a deployment, and how to mend it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
from aiokafka.errors import KafkaError
from pydantic import SecretStr

from eye.keys import KeyFileError, list_keys
from eye.topics import check_topics
from schemas.catalogue import CatalogueError
from schemas.settings import Settings, SettingsError
from sinks.migrate import pending

_CONNECT_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: whether it is right, what was seen, and what to do when it is wrong."""

    what: str
    ok: bool
    seen: str
    mend: str = ""


def effective_settings(settings: Settings) -> dict[str, str]:
    """Return every setting by its variable's name, secrets hidden."""
    shown: dict[str, str] = {}
    for name in type(settings).model_fields:
        value: Any = getattr(settings, name)
        shown[f"EYE_{name.upper()}"] = "" if value is None else _hidden(name, value)
    return shown


def _hidden(name: str, value: Any) -> str:
    if name == "postgres_dsn":
        return _without_passwords(value.get_secret_value())
    if isinstance(value, SecretStr):
        return "***"
    return ",".join(value) if isinstance(value, list) else str(value)


def _without_passwords(dsn: str) -> str:
    try:
        parts = psycopg.conninfo.conninfo_to_dict(dsn)
    except psycopg.Error:
        return "*** (can't be read)"
    return " ".join(f"{key}={'***' if 'password' in key else part}" for key, part in parts.items())


def examine(settings: Settings) -> list[Finding]:
    """Look at everything; changes nothing."""
    return [
        *_event_types(settings),
        *_keys(settings),
        *asyncio.run(_topics(settings)),
        *asyncio.run(_postgres(settings)),
    ]


def _event_types(settings: Settings) -> Iterator[Finding]:
    try:
        number = len(list(settings.rules().catalogue))
    except CatalogueError as error:
        yield Finding(
            "event types", False, str(error), "Set EYE_EVENT_TYPES to packages or directories with event types."
        )
    else:
        yield Finding("event types", True, f"{number} in {', '.join(settings.event_types)}")


def _keys(settings: Settings) -> Iterator[Finding]:
    path = settings.applications_file
    try:
        number = len(list_keys(path))
    except KeyFileError as error:
        yield Finding("keys", False, str(error), "Mend the file: the gateway goes on with the keys it read before.")
    else:
        yield Finding("keys", number > 0, f"{number} in {path}", "Make one: `eye keys add APPLICATION`.")


async def _topics(settings: Settings) -> list[Finding]:
    try:
        states = await check_topics(settings)
    except (KafkaError, SettingsError) as error:
        mend = "Set EYE_KAFKA_BOOTSTRAP_SERVERS (and the security settings) to a Kafka that answers."
        return [Finding("Kafka", False, str(error) or repr(error), mend)]
    return [Finding("Kafka", True, f"answers at {settings.kafka_bootstrap_servers}")] + [
        Finding(
            f"topic {state.name}",
            not state.differences,
            "; ".join(state.differences) or f"{state.partitions} partitions",
            "`eye topics create` makes what is missing; what differs is changed with Kafka's own tools.",
        )
        for state in states
    ]


async def _postgres(settings: Settings) -> list[Finding]:
    try:
        async with await psycopg.AsyncConnection.connect(settings.dsn, connect_timeout=_CONNECT_SECONDS) as connection:
            version = connection.info.server_version
        left = await pending(settings.dsn)
    except (psycopg.Error, SettingsError) as error:
        return [Finding("Postgres", False, str(error).strip(), "Set EYE_POSTGRES_DSN to a Postgres that answers.")]
    seen = f"{len(left)} pending: {', '.join(left)}" if left else "all applied"
    return [
        Finding("Postgres", True, f"answers, version {version // 10000}.{version % 10000}"),
        Finding("migrations", not left, seen, "Apply them: `eye migrate`."),
    ]
