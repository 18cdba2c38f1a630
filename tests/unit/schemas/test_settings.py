"""The settings: read from EYE_ variables, held against their limits, handed on to the clients."""

from __future__ import annotations

import ssl
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from schemas.settings import Settings, SettingsError


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """None of the caller's own settings."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"EYE_{name.upper()}", raising=False)


def settings_of(monkeypatch: pytest.MonkeyPatch, **variables: str) -> Settings:
    for name, value in variables.items():
        monkeypatch.setenv(f"EYE_{name}", value)
    return Settings()


def test_without_variables_the_defaults_hold() -> None:
    settings = Settings()

    assert (settings.gateway_host, settings.gateway_port, settings.partitions) == ("127.0.0.1", 8080, 6)
    assert settings.applications_file == Path(".eye/applications.toml")
    assert (settings.stream_group, settings.sinks_group) == ("eye-stream", "eye-sinks")


def test_variables_are_named_by_eye_and_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of(
        monkeypatch,
        KAFKA_BOOTSTRAP_SERVERS="a:1,b:2", POSTGRES_DSN="host=db password=secret", GATEWAY_PORT="9000", GROUP="blue-",
        APPLICATIONS="/etc/eye.toml", MAX_AGE_SECONDS="60", UNKNOWN_EVENT_TYPES="accept",
    )  # fmt: skip

    assert settings.kafka_client()["bootstrap_servers"] == "a:1,b:2"
    assert settings.dsn == "host=db password=secret"
    assert (settings.gateway_port, settings.stream_group) == (9000, "blue-eye-stream")
    assert settings.applications_file == Path("/etc/eye.toml")
    assert settings.rules().max_age == timedelta(seconds=60)
    assert settings.rules().accept_unknown_types


def test_what_no_variable_says_is_read_from_the_secrets_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "EYE_POSTGRES_DSN").write_text("host=db password=kept\n")
    (tmp_path / "EYE_GROUP").write_text("file-")
    monkeypatch.setenv("EYE_SECRETS_DIR", str(tmp_path))

    settings = settings_of(monkeypatch, GROUP="variable-")

    assert (settings.dsn, settings.group) == ("host=db password=kept", "variable-")


def test_reads_use_their_own_postgres_where_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Settings().read_dsn is None
    assert settings_of(monkeypatch, POSTGRES_DSN="host=primary").read_dsn == "host=primary"
    assert settings_of(monkeypatch, POSTGRES_READ_DSN="host=replica").read_dsn == "host=replica"


def test_a_variable_that_is_no_setting_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings_of(monkeypatch, RESTARTS_IN_A_ROW="3", URL="x") == Settings()


@pytest.mark.parametrize(
    ("value", "places"),
    [
        ("a.b", ["a.b"]),
        ("a.b,./events", ["a.b", "./events"]),
        (" a.b , ./events ,", ["a.b", "./events"]),
    ],
)
def test_a_list_is_separated_by_commas(monkeypatch: pytest.MonkeyPatch, value: str, places: list[str]) -> None:
    assert settings_of(monkeypatch, EVENT_TYPES=value).event_types == places


@pytest.mark.parametrize(
    "name",
    [name for name, field in Settings.model_fields.items() if "Empty:" in (field.description or "")]
    + ["kafka_ssl_certfile", "kafka_ssl_keyfile"],
)
def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    settings = settings_of(monkeypatch, **{name.upper(): ""})

    assert getattr(settings, name) in (None, [])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PARTITIONS", "0"),
        ("PARTITIONS", "many"),
        ("GATEWAY_PORT", "65536"),
        ("GATEWAY_PORT", "-1"),
        ("MAX_FUTURE_SECONDS", "-5"),
        ("MAX_FUTURE_SECONDS", "nan"),
        ("MAX_FUTURE_SECONDS", "inf"),
        ("SESSION_GAP_SECONDS", "1e300"),
        ("KAFKA_SECURITY_PROTOCOL", "TLS"),
        ("LOG_LEVEL", "loud"),
        ("UNKNOWN_EVENT_TYPES", "maybe"),
    ],
)
def test_a_value_that_cannot_be_used_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    with pytest.raises(ValidationError) as refused:
        settings_of(monkeypatch, **{name: value})

    assert [fault["loc"] for fault in refused.value.errors()] == [(name.lower(),)]


def test_what_is_missing_is_named_with_what_to_do() -> None:
    with pytest.raises(SettingsError, match=r"EYE_POSTGRES_DSN is not set: .*`eye up`"):
        _ = Settings().dsn
    with pytest.raises(SettingsError, match=r"EYE_KAFKA_BOOTSTRAP_SERVERS is not set: .*`eye up`"):
        Settings().kafka_client()


def test_settings_do_not_change_once_they_are_read() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Settings().partitions = 7  # type: ignore[misc]


def test_secrets_are_not_shown() -> None:
    settings: dict[str, Any] = {"postgres_dsn": "host=db password=secret", "kafka_sasl_password": "secret"}

    assert "secret" not in repr(Settings(**settings))
    assert "secret" not in str(Settings(**settings).model_dump())


def test_a_plain_kafka_client_has_no_credentials() -> None:
    assert Settings(kafka_bootstrap_servers="a:1").kafka_client() == {
        "bootstrap_servers": "a:1",
        "security_protocol": "PLAINTEXT",
        "ssl_context": None,
    }


def test_sasl_over_tls_logs_in_and_verifies_the_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = settings_of(
        monkeypatch,
        KAFKA_BOOTSTRAP_SERVERS="a:1", KAFKA_SECURITY_PROTOCOL="SASL_SSL", KAFKA_SASL_MECHANISM="PLAIN",
        KAFKA_SASL_USERNAME="eye", KAFKA_SASL_PASSWORD="secret",
    )  # fmt: skip

    client = settings.kafka_client()

    assert client["security_protocol"] == "SASL_SSL"
    assert client["sasl_mechanism"] == "PLAIN"
    assert (client["sasl_plain_username"], client["sasl_plain_password"]) == ("eye", "secret")
    assert client["ssl_context"].verify_mode is ssl.CERT_REQUIRED
    assert client["ssl_context"].check_hostname


def test_sasl_without_tls_has_no_context() -> None:
    client = Settings(kafka_bootstrap_servers="a:1", kafka_security_protocol="SASL_PLAINTEXT").kafka_client()

    assert client["ssl_context"] is None
    assert client["sasl_mechanism"] == "SCRAM-SHA-512"


def test_every_setting_is_described() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []
