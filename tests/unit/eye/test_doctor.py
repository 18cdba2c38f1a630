"""`eye doctor` shows every setting, and no secret."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from eye.operations.doctor.deployment import effective_settings
from eye.operations.doctor.disk import check_server_disk
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


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "/run/postgresql", None])
def test_the_disk_of_a_server_on_this_machine_is_looked_at(host: str | None, tmp_path: Path) -> None:
    [found] = check_server_disk("disk", host, str(tmp_path))

    assert (found.what, str(tmp_path) in found.seen) == ("disk", True)


@pytest.mark.parametrize(
    ("host", "directory"),
    [("db.example.com", "/"), ("127.0.0.1", "/no/such/directory"), ("127.0.0.1", "."), (None, "")],
)
def test_a_disk_elsewhere_or_unknown_is_none_of_ours(host: str | None, directory: str) -> None:
    assert list(check_server_disk("disk", host, directory)) == []
