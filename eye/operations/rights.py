"""Errors for want of a right, in a sentence that names the right and what grants it."""

from __future__ import annotations

import psycopg
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)

from schemas.settings import Settings

_ACLS = "deploy/kafka/acls.sh grants each user what its part needs"
_ROLES = "deploy/postgres/roles.sql grants each role what its part needs"
_MISSING = (
    (
        TopicAuthorizationFailedError,
        "Kafka's user lacks a right on the topic {}(Describe and Read to read it, Write to write it, DescribeConfigs"
        " for its settings)",
    ),
    (GroupAuthorizationFailedError, "Kafka's user lacks the right Describe or Read on the consumer group {}"),
    (TransactionalIdAuthorizationFailed, "Kafka's user lacks the right Write on the transactional id {}"),
    (ClusterAuthorizationFailedError, "Kafka's user lacks a right on the cluster {}"),
)


def explain(error: Exception) -> str:
    """Return what an error says; where a right is missing, which one, and what grants it."""
    said = str(error).strip() or repr(error)
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return f"Postgres' role lacks a right: {said.splitlines()[0]} ({_ROLES})"
    for kind, sentence in _MISSING:
        if isinstance(error, kind) and "lacks the right" not in said:
            named = " ".join(str(part) for part in error.args if part)
            return f"{sentence.format(f'{named} ' if named else '').strip()}; {_ACLS}"
    return said


def maybe_unseen(settings: Settings) -> str:
    """Return what may be true of a topic that is not there: to a user without Describe Kafka does not show it."""
    if settings.kafka_security_protocol == "PLAINTEXT":
        return ""
    return ", or Kafka's user lacks the right Describe on it"
