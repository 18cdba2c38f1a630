"""The documents of the catalogue: by the official parser of AsyncAPI, and `eye schemas` against git and Postgres."""

from __future__ import annotations

import fcntl
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from clients.browser.tests.tools import npm
from schemas.contracts.tables import TABLES

NODE = Path(__file__).parent / "asyncapi"
EXPORT = Path(__file__).parents[3] / "schemas" / "export"

VERSION_1 = """\
from schemas.payload import Payload


class Signup(Payload, category="account", name="signup"):
    plan: str
"""
VERSION_2 = """

class SignupWithSeats(Payload, category="account", name="signup", version=2):
    plan: str
    seats: int
"""

EyeSchemas = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def eye_schemas(tmp_path: Path) -> EyeSchemas:
    """Return `eye schemas` in a repository with a catalogue of its own, whose export is committed."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "eye", "schemas", *arguments]
        variables = {"EYE_EVENT_TYPES": "./types", "EYE_DATA_DIR": str(tmp_path / "eye"), "PATH": "/usr/bin:/bin"}
        return subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)

    (tmp_path / "types").mkdir()
    (tmp_path / "types" / "account.py").write_text(VERSION_1)
    assert run("export", "--to", "schemas/export").returncode == 0
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.com"]
    for command in (["init", "-q"], ["add", "schemas"], [*identity, "commit", "-qm", "published"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    return run


def change(directory: Path, text: str) -> None:
    (directory / "types" / "account.py").write_text(text)


@pytest.mark.parametrize("against", ["HEAD", "schemas/export", "schemas/export/jsonschema"])
def test_a_renamed_field_breaks_old_senders(eye_schemas: EyeSchemas, tmp_path: Path, against: str) -> None:
    change(tmp_path, VERSION_1.replace("plan", "tariff"))

    done = eye_schemas("compat", "--against", against, "--json")

    assert done.returncode == 1, done.stderr
    found: dict[str, Any] = {part["path"]: part for part in json.loads(done.stdout)}
    assert found["$.data.plan"]["senders"] == "the new rules: the field is unknown and refused"
    assert found["$.data.tariff"]["senders"] == "the new rules: the field is required"
    assert found["$.data.plan"]["example"]["data"] == {"plan": "plan"}


def test_a_version_beside_the_published_one_breaks_nobody(eye_schemas: EyeSchemas, tmp_path: Path) -> None:
    change(tmp_path, VERSION_1 + VERSION_2)

    done = eye_schemas("compat", "--against", "HEAD", "--mode", "full")

    assert (done.returncode, done.stderr) == (0, "")
    assert "ok account / signup version 2: $ added" in done.stdout


def test_another_default_breaks_senders_that_name_no_version(eye_schemas: EyeSchemas, tmp_path: Path) -> None:
    change(tmp_path, VERSION_1 + VERSION_2.replace("version=2", "version=2, default_since='2026-12-01T00:00Z'"))

    done = eye_schemas("compat", "--against", "HEAD")

    assert done.returncode == 1
    assert "the default from 2026-12-01T00:00:00+00:00" in done.stdout
    assert "for events that name no version: $.seats: the field is required" in done.stdout


def test_a_widened_field_breaks_old_readers_alone(eye_schemas: EyeSchemas, tmp_path: Path) -> None:
    change(tmp_path, VERSION_1.replace("plan: str", "plan: str | None"))

    codes = [eye_schemas("compat", "--against", "HEAD", "--mode", mode).returncode for mode in ("backward", "forward")]

    assert codes == [0, 1]
    assert "BREAKS" in eye_schemas("diff", "--against", "HEAD").stdout


def test_a_removed_version_breaks_its_senders(eye_schemas: EyeSchemas, tmp_path: Path) -> None:
    change(tmp_path, VERSION_2.replace("\n\nclass", "from schemas.payload import Payload\nclass"))

    done = eye_schemas("compat", "--against", "HEAD")

    assert done.returncode == 1
    assert "account / signup version 1: $ removed" in done.stdout


def test_a_worker_with_a_catalogue_that_breaks_refuses_to_judge(eye_schemas: EyeSchemas, tmp_path: Path) -> None:
    change(tmp_path, VERSION_1.replace("plan", "tariff"))
    variables = {"EYE_EVENT_TYPES": "./types", "EYE_DATA_DIR": str(tmp_path / "eye"), "PATH": "/usr/bin:/bin"}
    variables |= {"EYE_PUBLISHED_TYPES": "schemas/export", "EYE_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9"}
    command = [sys.executable, "-m", "eye", "stream"]

    done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 1
    assert "account/signup/1 at $.data.plan" in done.stderr
    assert "EYE_ACCEPTED_BREAKS=account/signup/1" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("against", "sentence"),
    [
        ("no-such-ref", "neither a directory nor a git ref"),
        ("types", "types has no exported JSON Schemas"),
        ("--output=x", "neither a directory nor a git ref"),
    ],
)
def test_what_is_no_catalogue_is_named(eye_schemas: EyeSchemas, against: str, sentence: str) -> None:
    done = eye_schemas("compat", f"--against={against}")

    assert done.returncode == 1
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_an_example_that_breaks_its_own_rules_is_found(eye_schemas: EyeSchemas, tmp_path: Path) -> None:
    assert eye_schemas("check").returncode == 0
    change(tmp_path, VERSION_1.replace('"signup"', '"signup", examples=[{"plan": "free"}, {"plan": 1}]'))

    done = eye_schemas("check")

    assert done.returncode == 1
    assert "example 2: plan" in done.stdout


def test_one_type_is_shown_as_json_schema(eye_schemas: EyeSchemas) -> None:
    shown = json.loads(eye_schemas("show", "account", "signup").stdout)

    assert shown["x-event-type"]["default"] is True
    assert "there is no account / out" in eye_schemas("show", "account", "out").stderr


def test_the_asyncapi_document_is_valid_by_the_official_parser() -> None:
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("node or npm is missing, so AsyncAPI's parser is not asked: `apt-get install nodejs npm`")
    with (NODE / "package.json").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if not (NODE / "node_modules").is_dir():
            npm("ci", "--no-audit", "--no-fund", "--ignore-scripts", directory=NODE)
    command = ["node", str(NODE / "check.js"), str(EXPORT / "asyncapi.json")]

    found = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)

    assert found["valid"]
    assert [fault for fault in found["diagnostics"] if fault["severity"] < 2] == []


def test_the_contract_has_the_columns_that_postgres_has(dsn: str) -> None:
    query = """
        select a.attname, format_type(a.atttypid, a.atttypmod), not a.attnotnull, col_description(a.attrelid, a.attnum)
        from pg_attribute a where a.attrelid = ('eye.' || %s)::regclass and a.attnum > 0 and not a.attisdropped
        order by a.attnum
    """
    with psycopg.connect(dsn) as connection:
        for name, (_, columns) in TABLES.items():
            assert connection.execute(query, [name]).fetchall() == [tuple(column) for column in columns], name
