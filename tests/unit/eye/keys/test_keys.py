"""Keys of applications: made, listed and revoked in a file that stays what people wrote."""

from __future__ import annotations

import hashlib
import stat
import tomllib
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pytest

from eye.operations.keys import (
    SCOPES,
    KeyEntry,
    add_key,
    keys_version,
    list_keys,
    local_key,
    revoke_key,
)
from gateway.access.api_keys import Grant, KeyRing, Scope
from tests.unit.eye.keys.keys_file import COMMENTED, DIGEST, grant_of


def today() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d}"


def test_a_first_key_makes_the_file_and_the_gateway_takes_it(path: Path) -> None:
    key = add_key(path, "shop", ["write"])

    assert grant_of(path, key) == Grant("shop", frozenset({Scope.WRITE}))
    assert key not in path.read_text()


def test_every_key_is_another(path: Path) -> None:
    keys = [add_key(path, application, SCOPES) for application in ("shop", "shop", "blog")]

    assert len(set(keys)) == 3
    assert [grant.application for key in keys if (grant := grant_of(path, key))] == ["shop", "shop", "blog"]


def test_keys_are_listed_by_their_digest(commented: Path) -> None:
    key = add_key(commented, "blog", ["read"], "till")

    assert list_keys(commented) == [
        KeyEntry("shop", DIGEST, ("write", "read")),
        KeyEntry("blog", hashlib.sha256(key.encode()).hexdigest(), ("read",), "till", today()),
    ]


@pytest.mark.parametrize("application", ["shop", "blog"])
def test_adding_a_key_keeps_every_line_that_was_there(commented: Path, application: str) -> None:
    key = add_key(commented, application, ["write"])

    lines = commented.read_text().splitlines()
    assert [line for line in COMMENTED.splitlines() if line and line not in lines] == []
    assert grant_of(commented, "one") is not None
    assert grant_of(commented, key) is not None


def test_revoking_a_key_takes_out_that_key_alone(commented: Path) -> None:
    kept = add_key(commented, "shop", ["write"])

    gone = revoke_key(commented, DIGEST[:8])

    assert gone == [KeyEntry("shop", DIGEST, ("write", "read"))]
    assert grant_of(commented, "one") is None
    assert grant_of(commented, kept) is not None
    assert "# who may send" in commented.read_text()
    assert tomllib.loads(commented.read_text())["other"] == {"x": 1}


def test_an_application_whose_last_key_is_revoked_can_get_another(commented: Path) -> None:
    revoke_key(commented, DIGEST)

    key = add_key(commented, "shop", ["write"])

    assert grant_of(commented, key) is not None
    assert len(list_keys(commented)) == 1


def test_revoking_what_is_not_there_leaves_the_file_alone(commented: Path) -> None:
    assert revoke_key(commented, "0" * 12) == []
    assert commented.read_text() == COMMENTED


def test_a_file_that_is_not_there_has_no_keys(path: Path) -> None:
    assert list_keys(path) == []
    assert revoke_key(path, "0") == []
    assert not path.exists()


def test_the_local_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    applications = tmp_path / "applications.toml"

    key = local_key(tmp_path, applications)

    assert local_key(tmp_path, applications) == key
    assert grant_of(applications, key) == Grant("local", frozenset(Scope))
    assert stat.S_IMODE((tmp_path / "local.key").stat().st_mode) == 0o600


def test_a_local_key_that_was_revoked_is_made_anew(tmp_path: Path) -> None:
    applications = tmp_path / "applications.toml"
    key = local_key(tmp_path, applications)
    revoke_key(applications, "")

    again = local_key(tmp_path, applications)

    assert again != key
    assert grant_of(applications, again) is not None
    assert local_key(tmp_path, applications) == again


def test_a_gateway_shows_the_version_of_the_keys_it_uses(commented: Path) -> None:
    add_key(commented, "shop", ["write"])
    ring = KeyRing(commented)
    ring.refresh()

    assert ring.version == keys_version(commented)


def test_keys_added_and_revoked_at_once_are_all_accounted_for(commented: Path) -> None:
    old = [add_key(commented, "old", ["write"]) for _ in range(20)]
    revoked = [hashlib.sha256(key.encode()).hexdigest() for key in old]

    with ProcessPoolExecutor(4, mp_context=get_context("forkserver")) as pool:
        added = [pool.submit(add_key, commented, f"new-{number % 3}", ["write"]) for number in range(20)]
        gone = list(pool.map(partial(revoke_key, commented), revoked))
        new = [adding.result() for adding in added]

    assert [len(entries) for entries in gone] == [1] * 20
    assert {entry.sha256 for entry in list_keys(commented)} == {
        DIGEST, *(hashlib.sha256(key.encode()).hexdigest() for key in new)
    }  # fmt: skip
    assert "# from 2021" in commented.read_text()
