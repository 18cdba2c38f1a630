"""What `eye doctor` shows of the settings: all of them, and no secret."""

from __future__ import annotations

from typing import Any

import pytest

from eye.doctor import effective_settings
from schemas.settings import Settings


def shown(**settings: Any) -> dict[str, str]:
    return effective_settings(Settings(**settings))


def test_every_setting_is_shown_by_its_variable() -> None:
    assert set(shown()) == {f"EYE_{name.upper()}" for name in Settings.model_fields}


def test_values_are_shown_as_a_variable_would_have_them() -> None:
    found = shown(event_types=["a.b", "./events"], partitions=3, max_age_seconds=None)

    assert (found["EYE_EVENT_TYPES"], found["EYE_PARTITIONS"], found["EYE_MAX_AGE_SECONDS"]) == (
        "a.b,./events",
        "3",
        "",
    )


@pytest.mark.parametrize(
    "dsn",
    [
        "host=db user=eye password=secret",
        "host=db user=eye password='secret'",
        "postgresql://eye:secret@db/events",
        "postgresql://eye@db/events?password=secret",
        "host=db user=eye sslpassword=secret",
        "secret",
        "host=db password = 'secret",
        "postgresql://eye:secret@db:port:port/events",
    ],
)
def test_no_secret_is_shown_whatever_is_wrong_with_it(dsn: str) -> None:
    found = shown(postgres_dsn=dsn, kafka_sasl_password="secret")

    assert "secret" not in str(found)
    assert found["EYE_POSTGRES_DSN"] != ""
    assert found["EYE_KAFKA_SASL_PASSWORD"] == "***"


def test_the_rest_of_a_dsn_is_shown() -> None:
    found = shown(postgres_dsn="postgresql://eye:secret@db/events")["EYE_POSTGRES_DSN"]

    assert set(found.split()) == {"user=eye", "password=***", "dbname=events", "host=db"}
