"""Checks of a deployment, each with its remedy, and the effective settings."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import psycopg
from pydantic import SecretStr

from eye.operations.doctor.disk import check_data_dir
from eye.operations.doctor.finding import Finding
from eye.operations.doctor.kafka import check_kafka
from eye.operations.doctor.postgres import check_postgres
from eye.operations.doctor.processes import check_processes
from eye.operations.keys import KeyFileError, list_keys
from eye.operations.unknown_settings import unknown_settings
from gateway.access.api_keys import parse_applications
from gateway.access.issuers import Issuer
from gateway.access.key_sets import FileKeys
from gateway.connections.certificate import certificate_files, ending, load_pair
from schemas.catalogue import CatalogueError
from schemas.contracts.published import PublishedError, judging_rules
from schemas.settings import Settings, SettingsError
from sinks.retention import policy_of

_KEY_FILE = "Mend the file (a JWKS): a gateway that runs goes on with the keys it read before."


def effective_settings(settings: Settings) -> dict[str, str]:
    """Return every setting by its variable's name, secrets hidden."""
    shown: dict[str, str] = {}
    for name in type(settings).model_fields:
        value: Any = getattr(settings, name)
        shown[f"EYE_{name.upper()}"] = "" if value is None else _hidden(name, value)
    return shown


def _hidden(name: str, value: Any) -> str:
    if name.endswith("_dsn"):
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


def check_deployment(settings: Settings) -> list[Finding]:
    """Look at everything; changes nothing. Of Postgres a role that reads sees enough: a gateway has no other."""
    if settings.postgres_dsn is None:
        settings = settings.model_copy(update={"postgres_dsn": settings.postgres_read_dsn})
    return [
        *_names(),
        *_event_types(settings),
        *_keys(settings),
        *_issuers(settings),
        *_certificate(settings),
        *_retention(settings),
        *asyncio.run(check_kafka(settings)),
        *asyncio.run(check_postgres(settings)),
        *asyncio.run(check_processes(settings)),
        *check_data_dir(settings),
    ]


def _names() -> Iterator[Finding]:
    for sentence in unknown_settings():
        yield Finding("name of a setting", False, sentence, "Correct the variable's name, or unset it.")


def _event_types(settings: Settings) -> Iterator[Finding]:
    try:
        number = len(list(judging_rules(settings).catalogue))
    except PublishedError as error:
        yield Finding("event types", False, str(error), "See `eye schemas compat --against DIR`.")
    except CatalogueError as error:
        yield Finding(
            "event types", False, str(error), "Set EYE_EVENT_TYPES to packages or directories with event types."
        )
    else:
        yield Finding("event types", True, f"{number} in {', '.join(settings.event_types)}")


def _retention(settings: Settings) -> Iterator[Finding]:
    wanted, kept = settings.events_retention_days, policy_of(settings).events
    if wanted is None or kept is None:
        yield Finding("retention", True, "events are kept for ever")
        return
    mend = f"Set EYE_EVENTS_RETENTION_DAYS to {kept.days} or more, or keep Kafka's records for less long."
    seen = f"events are kept for {kept.days} days, by month"
    if kept.days > wanted:
        seen += f", not {wanted}: Kafka may hold records of them until then"
    yield Finding("retention", kept.days == wanted, seen, mend)


def _keys(settings: Settings) -> Iterator[Finding]:
    path = settings.applications_file
    try:
        number = len(list_keys(path))
    except KeyFileError as error:
        yield Finding("keys", False, str(error), "Mend the file: the gateway goes on with the keys it read before.")
    else:
        enough = number > 0 or bool(_named_issuers(settings))
        yield Finding("keys", enough, f"{number} in {path}", "Make one: `eye keys add APPLICATION`.")


def _named_issuers(settings: Settings) -> list[Issuer]:
    try:
        return parse_applications(settings.applications_file.read_bytes()).issuers
    except (OSError, ValueError):
        return []


def _issuers(settings: Settings) -> Iterator[Finding]:
    """Check the issuers' files of keys; keys at an address are fetched by the gateways, whose readiness tells."""
    for issuer in _named_issuers(settings):
        if issuer.jwks_file is None:
            yield Finding(f"issuer {issuer.issuer}", True, f"its keys are at {issuer.jwks_uri}")
            continue
        keys = FileKeys(issuer.issuer, settings.applications_file.absolute().parent / issuer.jwks_file)
        keys.refresh()
        yield Finding(f"issuer {issuer.issuer}", keys.fault is None, keys.fault or f"{keys.size} keys", _KEY_FILE)


def _certificate(settings: Settings) -> Iterator[Finding]:
    try:
        files = certificate_files(settings)
        if files is None:
            return
        ends = load_pair(files).ends
    except SettingsError as error:
        yield Finding("certificate", False, str(error), "Mend the files: a gateway that runs goes on with the former.")
        return
    fault = ending(ends)
    mend = "Put a new pair in these files: the gateway reads them again within seconds."
    yield Finding("certificate", fault is None, fault or f"ends at {ends:%Y-%m-%d %H:%M}Z", mend)
