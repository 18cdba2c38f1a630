"""A right that is missing is named, with what grants it."""

from __future__ import annotations

import psycopg
import pytest
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaConnectionError,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
)

from eye.operations.rights import explain, maybe_unseen
from schemas.settings import Settings


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (TopicAuthorizationFailedError("events.raw"), "lacks a right on the topic events.raw (Describe and Read"),
        (TopicAuthorizationFailedError(), "lacks a right on the topic (Describe and Read"),
        (
            GroupAuthorizationFailedError("eye-stream"),
            "right Describe or Read on the consumer group eye-stream",
        ),
        (TransactionalIdAuthorizationFailed(), "lacks the right Write on the transactional id; deploy/kafka/acls.sh"),
        (ClusterAuthorizationFailedError(), "lacks a right on the cluster; deploy/kafka/acls.sh"),
        (psycopg.errors.InsufficientPrivilege("permission denied for table events\nLINE 1"), "table events (deploy"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_it_is_named_with_what_grants_it(error: Exception, sentence: str) -> None:
    assert sentence in explain(error)
    assert "\n" not in explain(error)


def test_what_is_no_right_stays_as_it_is() -> None:
    assert explain(KafkaConnectionError("no answer")) == str(KafkaConnectionError("no answer"))


def test_a_topic_that_is_not_shown_may_be_there() -> None:
    assert maybe_unseen(Settings()) == ""
    assert "the right Describe" in maybe_unseen(Settings(kafka_security_protocol="SASL_SSL"))
