"""`eye keys`: a key is shown once, listed by its digest, and taken out only when that is confirmed."""

from __future__ import annotations

import hashlib
import json
import os
import pty
import re
import subprocess
import sys
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from eye.operations.gateways import wait_for_keys
from eye.operations.keys import add_key, keys_version, revoke_key
from gateway.access.api_keys import Grant, KeyRing, Scope
from tests.integration.eye.test_command import run_eye
from tests.support.ready_server import readiness, serve_readiness

COMMENT = "# keys of the shops: see the wiki"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "applications.toml"
    path.write_text(f"{COMMENT}\n")
    return path


@pytest.fixture
def env(path: Path) -> dict[str, str]:
    return {"EYE_APPLICATIONS": str(path), "EYE_DATA_DIR": str(path.parent / "eye")}


def fingerprint(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:12]


def whole(path: Path) -> bool:
    """Tell whether the file is TOML that the gateway takes, its comment kept."""
    text = path.read_text()
    ring = KeyRing(path)
    ring.refresh()
    return COMMENT in text and bool(tomllib.loads(text)) and ring.fault is None


def test_a_key_is_printed_alone_and_opens_what_was_asked(path: Path, env: dict[str, str]) -> None:
    ran = run_eye("keys", "add", "shop", "--scopes", "write,read", env=env)

    assert ran.returncode == 0
    assert KeyRing(path).find(ran.stdout.strip()) == Grant("shop", frozenset({Scope.WRITE, Scope.READ}))
    assert ran.stdout.strip() not in path.read_text()
    assert whole(path)


def test_a_key_may_write_unless_more_is_asked(path: Path, env: dict[str, str]) -> None:
    ran = run_eye("keys", "add", "shop", env=env)

    assert KeyRing(path).find(ran.stdout.strip()) == Grant("shop", frozenset({Scope.WRITE}))


@pytest.mark.parametrize("application", ["", "x" * 129, "a\nb", " shop"])
def test_an_application_that_the_gateway_would_refuse_is_refused(
    path: Path, env: dict[str, str], application: str
) -> None:
    """One such entry, and the gateway takes no key of the file any more."""
    ran = run_eye("keys", "add", application, env=env)

    assert ran.returncode == 2
    assert path.read_text() == f"{COMMENT}\n"


def test_keys_are_listed_for_people_and_for_programs(path: Path, env: dict[str, str]) -> None:
    key = add_key(path, "shop", ["write", "read"], "till")

    for_people, for_programs = run_eye("keys", "list", env=env), run_eye("keys", "list", "--json", env=env)

    (entry,) = json.loads(for_programs.stdout)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", entry.pop("created"))
    assert entry == {
        "application": "shop", "sha256": fingerprint(key), "scopes": ["write", "read"], "label": "till",
        "expires": None, "last_used": None,
    }  # fmt: skip
    assert all(word in for_people.stdout for word in ("shop", fingerprint(key), "write, read", "till"))
    assert key not in for_people.stdout + for_programs.stdout


def test_the_gateways_know_when_a_key_was_last_used(path: Path, env: dict[str, str]) -> None:
    used, unused = (add_key(path, "shop", ["write"]) for _ in range(2))
    hours = ["2026-11-27T09:00Z", "2026-11-27T22:00Z"]
    answers = [[readiness(keys_used={fingerprint(used): hour})] for hour in hours]

    with serve_readiness(answers[0]) as one, serve_readiness(answers[1]) as other:
        reached = env | {"EYE_GATEWAY_URLS": f"{other},{one}"}
        for_people, for_programs = run_eye("keys", "list", env=reached), run_eye("keys", "list", "--json", env=reached)

    assert {entry["sha256"]: entry["last_used"] for entry in for_programs.json} == {
        fingerprint(used): hours[1],
        fingerprint(unused): None,
    }
    assert "2026-11-27 22:00" in for_people.stdout
    assert "no gateway answers" in run_eye("keys", "list", env=env).stderr


def test_a_key_may_have_an_end(path: Path, env: dict[str, str]) -> None:
    made = run_eye("keys", "add", "shop", "--expires", "90d", "--label", "till", "--json", env=env).json
    listed = run_eye("keys", "list", "--json", env=env).json

    assert [(entry["expires"], entry["label"]) for entry in listed] == [(made["expires"], "till")]
    assert datetime.fromisoformat(made["expires"]) - datetime.now(UTC) > timedelta(days=89)
    assert KeyRing(path).find(made["key"])
    assert whole(path)


@pytest.mark.parametrize("end", ["yesterday", "2020-01-01", "0d", "soon", "9999999w"])
def test_a_key_that_has_ended_is_not_made(path: Path, env: dict[str, str], end: str) -> None:
    ran = run_eye("keys", "add", "shop", "--expires", end, env=env)

    assert ran.returncode == 2
    assert "--expires" in ran.stderr
    assert path.read_text() == f"{COMMENT}\n"


def test_without_a_terminal_nothing_is_revoked_unless_yes_is_said(path: Path, env: dict[str, str]) -> None:
    key = add_key(path, "shop", ["write"])
    before = path.read_text()

    refused = run_eye("keys", "revoke", fingerprint(key), env=env)

    assert (refused.returncode, refused.stderr) == (1, "eye: this changes data: say --yes\n")
    assert path.read_text() == before


def test_with_yes_the_key_is_revoked_and_the_others_stay(path: Path, env: dict[str, str]) -> None:
    gone, kept = (add_key(path, "shop", ["write"]) for _ in range(2))

    ran = run_eye("keys", "revoke", fingerprint(gone), "--yes", "--json", env=env)

    assert ran.returncode == 0
    assert [entry["sha256"] for entry in json.loads(ran.stdout)] == [fingerprint(gone)]
    assert KeyRing(path).find(gone) is None
    assert KeyRing(path).find(kept) is not None
    assert whole(path)


def test_a_whole_digest_names_a_key_too(path: Path, env: dict[str, str]) -> None:
    key = add_key(path, "shop", ["write"])

    ran = run_eye("keys", "revoke", hashlib.sha256(key.encode()).hexdigest(), "--yes", env=env)

    assert ran.returncode == 0
    assert KeyRing(path).find(key) is None


def test_a_digest_that_is_no_keys_revokes_nothing_and_exits_1(path: Path, env: dict[str, str]) -> None:
    key = add_key(path, "shop", ["write"])

    unknown = run_eye("keys", "revoke", "0" * 12, "--yes", env=env)
    mistyped = run_eye("keys", "revoke", fingerprint(key) + "0" * 52, "--yes", env=env)

    assert (unknown.returncode, unknown.stderr) == (
        1, "eye: 0 keys begin with 000000000000; `eye keys list` shows them\n",
    )  # fmt: skip
    assert mistyped.returncode == 1
    assert KeyRing(path).find(key) is not None


def test_a_beginning_that_two_keys_share_revokes_neither(path: Path, env: dict[str, str]) -> None:
    keys = [add_key(path, "shop", ["write"]) for _ in range(2)]

    ran = run_eye("keys", "revoke", "", "--yes", env=env)

    assert ran.returncode == 1
    assert all(KeyRing(path).find(key) for key in keys)


@pytest.mark.parametrize(("answer", "exit_code", "stays"), [("n", 1, True), ("y", 0, False)])
def test_at_a_terminal_it_asks_first(path: Path, env: dict[str, str], answer: str, exit_code: int, stays: bool) -> None:
    key = add_key(path, "shop", ["write"])

    shown, code = at_a_terminal(["keys", "revoke", fingerprint(key)], env, answer)

    assert "Revoke a key of shop?" in shown
    assert code == exit_code
    assert bool(KeyRing(path).find(key)) is stays


def at_a_terminal(arguments: list[str], env: dict[str, str], answer: str) -> tuple[str, int]:
    """Run `eye` at a terminal where somebody types an answer; returns what was shown, and the exit code."""
    ours, its = pty.openpty()
    os.write(ours, f"{answer}\n".encode())
    command = [sys.executable, "-m", "eye", *arguments]
    process = subprocess.Popen(command, env=os.environ | env, stdin=its, stdout=its, stderr=its)
    code = process.wait(60)
    os.close(its)
    shown = os.read(ours, 100_000).decode()
    os.close(ours)
    return shown, code


def test_the_file_and_the_use_of_a_key_are_named(path: Path, env: dict[str, str]) -> None:
    ran = run_eye("keys", "add", "shop", env=env)

    assert str(path) in ran.stderr.replace("\n", "")
    assert "Authorization: Bearer" in ran.stderr


def test_revoking_waits_until_the_gateways_use_the_new_keys(path: Path, env: dict[str, str]) -> None:
    gone, kept = (add_key(path, "shop", ["write"]) for _ in range(2))
    before, expected = keys_version(path), path.with_name("expected.toml")
    expected.write_bytes(path.read_bytes())
    revoke_key(expected, fingerprint(gone))

    answers = [readiness(keys=version) for version in (before, before, keys_version(expected))]

    with serve_readiness(answers) as url:
        ran = run_eye("keys", "revoke", fingerprint(gone), "--yes", env=env | {"EYE_GATEWAY_URLS": url})

    assert (ran.returncode, url in ran.stderr) == (0, True)
    assert KeyRing(path).find(kept) is not None


def test_revoking_fails_when_a_gateway_keeps_the_old_keys(
    path: Path, env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wait_for_keys, "__defaults__", (0.3,))
    key = add_key(path, "shop", ["write"])

    with serve_readiness([readiness(keys="other")]) as url:
        ran = run_eye("keys", "revoke", fingerprint(key), "--yes", env=env | {"EYE_GATEWAY_URLS": url})

    assert ran.returncode == 1
    assert f"{url} still uses other keys" in ran.stderr
    assert KeyRing(path).find(key) is None


def test_a_gateway_that_does_not_answer_does_not_hold_a_revocation(path: Path, env: dict[str, str]) -> None:
    key = add_key(path, "shop", ["write"])

    ran = run_eye("keys", "revoke", fingerprint(key), "--yes", env=env | {"EYE_GATEWAY_URLS": "http://127.0.0.1:1"})

    assert (ran.returncode, "no gateway answered" in ran.stderr) == (0, True)
