"""The file of the keys: it stays as people wrote it, and a file that can't be used is named."""

from __future__ import annotations

import hashlib
import stat
import tomllib
from contextlib import suppress
from pathlib import Path

import pytest

from eye.operations.keys import (
    SCOPES,
    KeyFileError,
    add_key,
    list_keys,
    revoke_key,
)
from gateway.access.api_keys import Grant, KeyRing, Limit, Scope
from tests.unit.eye.keys.keys_file import COMMENTED, DIGEST, grant_of


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


LIMITED = f"""\
[[applications]]
id = "shop"
rate = 1000  # events a second
burst = 5000
unknown_event_types = "accept"
keys = [{{ sha256 = "{DIGEST}", scopes = ["write"], rate = 10 }}]
"""


def test_what_an_application_states_stays_when_keys_change(tmp_path: Path) -> None:
    path = tmp_path / "applications.toml"
    path.write_text(LIMITED)

    shared = Limit("application shop", 1000, 5000)
    key = add_key(path, "shop", ["write"])
    assert grant_of(path, key) == Grant("shop", frozenset({Scope.WRITE}), (shared,), unknown_event_types="accept")
    own = Limit(f"key {DIGEST[:12]}", 10, 10)
    assert grant_of(path, "one") == Grant("shop", frozenset({Scope.WRITE}), (shared, own), unknown_event_types="accept")
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


def test_the_files_permissions_stay_when_a_key_is_added(commented: Path) -> None:
    commented.chmod(0o640)

    add_key(commented, "shop", ["write"])

    assert stat.S_IMODE(commented.stat().st_mode) == 0o640


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
