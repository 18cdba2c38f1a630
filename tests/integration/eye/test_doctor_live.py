"""`eye doctor`: every setting, and every fault with its remedy."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psycopg
import pytest

from eye.local.stack import environment
from eye.operations.doctor import disk as doctor_disk
from schemas.settings import Settings
from schemas.topics import topic_names
from tests.integration.eye.test_command import run_eye

NOWHERE = {"EYE_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "EYE_POSTGRES_DSN": "host=127.0.0.1 port=1 password=secret"}


@pytest.fixture
def env(settings: Settings) -> dict[str, str]:
    """Return the variables of a deployment where all is well."""
    return environment(settings)


def examined(env: dict[str, str]) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Return the exit code, the findings by what was looked at, and the settings."""
    ran = run_eye("doctor", "--json", env=env)
    assert "Traceback" not in ran.stderr
    assert ran.stdout, ran.stderr
    report = json.loads(ran.stdout)
    return ran.returncode, {found["what"]: found for found in report["findings"]}, report["settings"]


def wrong(findings: dict[str, Any]) -> dict[str, str]:
    return {what: found["mend"] for what, found in findings.items() if not found["ok"]}


def test_where_all_is_well_it_exits_0(settings: Settings, env: dict[str, str]) -> None:
    code, findings, shown = examined(env)

    assert (code, wrong(findings)) == (0, {})
    assert {"event types", "keys", "Kafka", "Postgres", "migrations", f"topic {topic_names(settings).raw}"} <= set(
        findings
    )
    assert shown["EYE_PARTITIONS"] == "3"


def test_where_a_gateway_runs_the_database_of_its_reads_is_looked_at(env: dict[str, str]) -> None:
    reads = {"EYE_POSTGRES_DSN": "", "EYE_POSTGRES_READ_DSN": env["EYE_POSTGRES_DSN"]}

    code, findings, _ = examined(env | reads)

    assert code == 0
    assert {"Postgres", "migrations", "positions"} <= set(findings)


def test_a_wrong_dsn_is_found_and_exits_1(env: dict[str, str]) -> None:
    code, findings, shown = examined(env | {"EYE_POSTGRES_DSN": NOWHERE["EYE_POSTGRES_DSN"]})

    assert code == 1
    assert wrong(findings) == {"Postgres": "Set EYE_POSTGRES_DSN to a Postgres that answers."}
    assert "port 1 failed" in findings["Postgres"]["seen"]
    assert set(shown["EYE_POSTGRES_DSN"].split()) == {"host=127.0.0.1", "port=1", "password=***"}


def test_everything_that_is_wrong_is_found_at_once(env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "broken.toml").write_text("[[applications]\n")

    code, findings, _ = examined(
        env | NOWHERE | {"EYE_EVENT_TYPES": "no.such.package", "EYE_APPLICATIONS": str(tmp_path / "broken.toml")}
    )

    assert code == 1
    assert set(wrong(findings)) == {"event types", "keys", "Kafka", "Postgres"}
    assert all(wrong(findings).values())


@pytest.mark.parametrize(
    "changes",
    [
        {"EYE_POSTGRES_DSN": "secret"},
        {"EYE_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:port"},
        {"EYE_KAFKA_SECURITY_PROTOCOL": "SSL", "EYE_KAFKA_SSL_CAFILE": "/no/such/file"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_setting_that_is_no_address_or_file_is_a_finding(changes: dict[str, str], tmp_path: Path) -> None:
    code, findings, shown = examined({"EYE_DATA_DIR": str(tmp_path)} | NOWHERE | changes)

    assert code == 1
    assert {"Kafka", "Postgres"} <= set(wrong(findings))
    assert "secret" not in str(shown)


def test_settings_that_are_missing_are_findings(tmp_path: Path) -> None:
    code, findings, _ = examined({"EYE_DATA_DIR": str(tmp_path)})

    assert code == 1
    assert set(wrong(findings)) == {"keys", "Kafka", "Postgres"}
    assert "EYE_POSTGRES_DSN is not set" in findings["Postgres"]["seen"]


def test_topics_that_differ_are_findings(settings: Settings, env: dict[str, str]) -> None:
    code, findings, _ = examined(env | {"EYE_PARTITIONS": "12"})

    assert code == 1
    assert len(wrong(findings)) == 4
    assert findings[f"topic {topic_names(settings).raw}"]["seen"] == "3 partitions, expected 12"


def test_disks_clocks_positions_and_retention_are_looked_at(settings: Settings, env: dict[str, str]) -> None:
    spool = settings.data_dir / "spool"
    spool.mkdir(parents=True)
    (spool / "0001").write_bytes(b"12345")

    _, findings, _ = examined(env)

    assert {
        "disk of the data directory", "clock of Postgres", "positions",
        "clock of the gateways", "offsets' retention of broker 1", "partitions ahead", "default partition", "retention",
    } <= set(findings)  # fmt: skip
    assert findings["spool"]["seen"].startswith("5 bytes in 1 files")


@pytest.mark.processes
def test_the_disk_of_a_postgres_on_this_machine_is_looked_at(env: dict[str, str]) -> None:
    _, findings, _ = examined(env)

    assert findings["disk of Postgres"]["ok"]


def test_what_will_hurt_later_is_found_with_its_mend(settings: Settings, env: dict[str, str]) -> None:
    later = {"EYE_RAW_RETENTION_HOURS": "1000", "EYE_EVENTS_RETENTION_DAYS": "30"}
    topics = topic_names(settings)
    with psycopg.connect(settings.dsn) as connection:
        connection.execute(
            "insert into eye.events (event_id, application, session_id, category, name, occurred_at, received_at,"
            " schema_version, data) values (gen_random_uuid(), 'shop', 's', 'c', 'n', now(), now(), 1, '{}')"
        )
        connection.execute(
            "insert into eye.sink_positions (sink, topic, partition, next_offset) values (%s, %s, 0, 1000)",
            (f"{settings.group}events", topics.validated),
        )

    code, findings, _ = examined(env | later)

    assert code == 1
    mends = wrong(findings)
    assert mends.keys() == {
        f"topic {topics.raw}", "offsets' retention of broker 1", "retention", "partitions ahead", "positions",
    }  # fmt: skip
    assert "offsets.retention.minutes to 60000" in mends["offsets' retention of broker 1"]
    assert "EYE_EVENTS_RETENTION_DAYS to 48" in mends["retention"]
    assert findings["positions"]["seen"] == f"{topics.validated}:0 is at 1000, but goes from 0 to 0"


def test_a_disk_that_runs_full_is_found(env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_disk, "LEAST_BYTES", 2**60)

    _, findings, _ = examined(env)

    assert all(what.startswith("disk of ") and "Make room" in mend for what, mend in wrong(findings).items())
    assert "disk of the data directory" in wrong(findings)


def test_people_are_shown_tables_without_secrets(env: dict[str, str]) -> None:
    ran = run_eye("doctor", env=env | NOWHERE)

    assert ran.returncode == 1
    assert all(word in ran.stdout for word in ("EYE_POSTGRES_DSN", "WRONG", "Set EYE_KAFKA_BOOTSTRAP_SERVERS", "ok"))
    assert "secret" not in ran.stdout + ran.stderr
