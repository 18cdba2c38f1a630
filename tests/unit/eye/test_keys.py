"""Keys of applications: made, listed and revoked in a file that stays what people wrote."""

from __future__ import annotations

import hashlib
import stat
import tomllib
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import pytest

from eye.operations.keys import (
    SCOPES,
    KeyEntry,
    KeyFileError,
    add_key,
    keys_version,
    list_keys,
    local_key,
    revoke_key,
)
from gateway.access.api_keys import Grant, KeyRing, Limit, Scope

DIGEST = hashlib.sha256(b"one").hexdigest()

COMMENTED = f"""\
# who may send
[[applications]]  # the shop
id = "shop"
keys = [
  # from 2021
  {{ sha256 = "{DIGEST}", scopes = ["write", "read"] }},  # the till's
]

# nothing below is ours
[other]
x = 1
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "applications.toml"


@pytest.fixture
def commented(tmp_path: Path) -> Path:
    path = tmp_path / "applications.toml"
    path.write_text(COMMENTED)
    return path


def today() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d}"


def grant_of(path: Path, key: str) -> Grant | None:
    """Return what the gateway grants for a key, by its own reading of the file."""
    ring = KeyRing(path)
    found = ring.find(key)
    assert ring.fault is None
    return found


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


@pytest.mark.parametrize("content", [b"[[applications]\n", b"\xff\xfe", b"applications = \n"])
def test_a_file_that_is_no_toml_is_named_and_left_as_it_is(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)

    for use in (lambda: list_keys(path), lambda: add_key(path, "shop", SCOPES), lambda: revoke_key(path, "0")):
        with pytest.raises(KeyFileError, match=r"applications\.toml can't be read: "):
            use()
    assert path.read_bytes() == content


KEY = f'{{ sha256 = "{DIGEST}", scopes = ["write"] }}'
WAYS_TO_WRITE_IT = {
    "no keys yet": '[[applications]]\nid = "shop"\n',
    "keys as tables": f"[[applications]]\nid = 'shop'\n[[applications.keys]]\nsha256 = '{DIGEST}'\nscopes = ['read']\n",
    "all in one line": f'applications = [{{ id = "shop", keys = [{KEY}] }}]\n',
    "an empty list": "applications = []\n",
}


@pytest.mark.parametrize("application", ["shop", "blog"])
@pytest.mark.parametrize("content", WAYS_TO_WRITE_IT.values(), ids=WAYS_TO_WRITE_IT)
def test_whatever_the_gateway_reads_can_be_added_to(path: Path, content: str, application: str) -> None:
    path.parent.mkdir()
    path.write_text(content)
    known = grant_of(path, "one")

    key = add_key(path, application, ["write"])

    assert grant_of(path, key) == Grant(application, frozenset({Scope.WRITE}))
    assert grant_of(path, "one") == known


@pytest.mark.parametrize(
    "content",
    [
        "applications = 5\n",
        "[applications]\nid = 'shop'\n",
        "[[applications]]\nkeys = []\n",
        "[[applications]]\nid = 'shop'\nkeys = [{ scopes = ['write'] }]\n",
        "[[applications]]\nid = 'shop'\nkeys = 5\n",
    ],
)
def test_a_file_of_another_shape_is_named_and_left_as_it_is(path: Path, content: str) -> None:
    path.parent.mkdir()
    path.write_text(content)

    with pytest.raises(KeyFileError, match=r"applications\.toml"):
        add_key(path, "shop", SCOPES)
    with suppress(KeyFileError):
        list_keys(path)
    with suppress(KeyFileError):
        revoke_key(path, "0")
    assert path.read_text() == content


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


LIMITED = f"""\
[[applications]]
id = "shop"
rate = 1000  # events a second
burst = 5000
keys = [{{ sha256 = "{DIGEST}", scopes = ["write"], rate = 10 }}]
"""


def test_rate_limits_stay_when_keys_come_and_go(tmp_path: Path) -> None:
    path = tmp_path / "applications.toml"
    path.write_text(LIMITED)

    shared = Limit("application shop", 1000, 5000)
    key = add_key(path, "shop", ["write"])
    assert grant_of(path, key) == Grant("shop", frozenset({Scope.WRITE}), (shared,))
    assert grant_of(path, "one") == Grant(
        "shop", frozenset({Scope.WRITE}), (shared, Limit(f"key {DIGEST[:12]}", 10, 10))
    )
    revoke_key(path, hashlib.sha256(key.encode()).hexdigest())

    assert tomllib.loads(path.read_text()) == tomllib.loads(LIMITED)
    assert "# events a second" in path.read_text()


@pytest.mark.parametrize(
    "content",
    [
        f'[[applications]]\nid = "shop"\nkeys = [{{ sha256 = "{DIGEST}", scopes = ["write"], nonsense = 1 }}]\n',
        f'[[applications]]\nid = "shop"\nkeys = [{{ sha256 = "{DIGEST}", scopes = ["all"] }}]\n',
        '[[applications]]\nid = "shop"\nkeys = [{ sha256 = "5", scopes = ["write"] }]\n',
        '[[applications]]\nid = ""\n',
    ],
    ids=["unknown field", "unknown scope", "no digest", "empty id"],
)
def test_a_file_that_the_gateway_refuses_is_refused_here(path: Path, content: str) -> None:
    path.parent.mkdir()
    path.write_text(content)
    ring = KeyRing(path)
    ring.refresh()
    assert ring.fault is not None

    for use in (lambda: list_keys(path), lambda: add_key(path, "shop", SCOPES), lambda: revoke_key(path, DIGEST)):
        with pytest.raises(KeyFileError, match="can't be read"):
            use()
    assert path.read_text() == content


def test_a_change_that_the_gateway_would_refuse_is_not_written(commented: Path) -> None:
    with pytest.raises(KeyFileError, match="left as it is"):
        add_key(commented, "", ["write"])

    assert commented.read_text() == COMMENTED


def test_a_gateway_shows_the_version_of_the_keys_it_uses(commented: Path) -> None:
    add_key(commented, "shop", ["write"])
    ring = KeyRing(commented)
    ring.refresh()

    assert ring.version == keys_version(commented)


def test_the_files_permissions_stay_when_a_key_is_added(commented: Path) -> None:
    commented.chmod(0o640)

    add_key(commented, "shop", ["write"])

    assert stat.S_IMODE(commented.stat().st_mode) == 0o640


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


def test_issuers_stay_as_they_are_written(path: Path) -> None:
    issuers = (
        '# who signs tokens\n[[issuers]]\nissuer = "https://a"  # ours\naudience = "eye"\njwks_file = "keys.json"\n'
    )
    path.parent.mkdir()
    path.write_text(issuers)

    key = add_key(path, "shop", ["write"])
    (entry,) = list_keys(path)
    revoke_key(path, entry.sha256)

    assert key
    assert path.read_text().startswith(issuers)
