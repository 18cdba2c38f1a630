"""Keys: found by their digest, read again when the file changes, never forgotten for a typing error."""

from __future__ import annotations

import base64
import hashlib
import logging
from pathlib import Path

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from gateway.access import presented_key
from gateway.keys import CHECK_SECONDS, Grant, KeyRing, Scope


class Clock:
    """Time that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def an_entry(application: str, key: str, *scopes: str) -> str:
    digest = hashlib.sha256(key.encode()).hexdigest()
    listed = ", ".join(f'"{scope}"' for scope in scopes)
    return f'[[applications]]\nid = "{application}"\nkeys = [{{ sha256 = "{digest}", scopes = [{listed}] }}]\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "applications.toml"
    file.write_text(an_entry("shop", "one", "write", "read") + an_entry("blog", "two", "read"))
    return file


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ring(path: Path, clock: Clock) -> KeyRing:
    return KeyRing(path, clock)


def test_a_key_opens_what_its_application_may(ring: KeyRing) -> None:
    assert ring.find("one") == Grant("shop", frozenset({Scope.WRITE, Scope.READ}))
    assert ring.find("two") == Grant("blog", frozenset({Scope.READ}))


@pytest.mark.parametrize("key", ["", "three", "ONE", "ü\udcff", hashlib.sha256(b"one").hexdigest()])
def test_any_other_key_opens_nothing(ring: KeyRing, key: str) -> None:
    assert ring.find(key) is None


def test_a_changed_file_is_read_within_a_second(ring: KeyRing, path: Path, clock: Clock) -> None:
    assert ring.find("three") is None
    path.write_text(an_entry("shop", "three", "write"))

    clock.now += CHECK_SECONDS

    assert ring.find("three") is not None
    assert ring.find("one") is None


@pytest.mark.parametrize(
    "text",
    [
        "not toml",
        '[[applications]]\nid = "shop"\nkeys = [{ sha256 = "abc", scopes = ["write"] }]',
        an_entry("shop", "one", "delete"),
        an_entry("shop", "one", "write") + an_entry("blog", "one", "read"),
        "[[applications]]\nkeys = []",
        '[[applications]]\nid = ""\nkeys = []',
    ],
)
def test_a_broken_file_keeps_the_keys_of_before_and_says_so(
    ring: KeyRing, path: Path, clock: Clock, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert ring.find("one") is not None
    path.write_text(text)

    clock.now += CHECK_SECONDS

    assert ring.find("one") is not None
    assert ring.loaded
    assert str(path) in (ring.fault or "")
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


def test_a_mended_file_is_whole_again(ring: KeyRing, path: Path, clock: Clock) -> None:
    path.write_text("not toml")
    assert ring.find("one") is None
    path.write_text(an_entry("shop", "one", "write"))

    clock.now += CHECK_SECONDS

    assert ring.find("one") is not None
    assert ring.fault is None


def test_without_a_file_nobody_has_access(ring: KeyRing, path: Path, clock: Clock) -> None:
    assert ring.find("one") is not None
    path.unlink()

    clock.now += CHECK_SECONDS

    assert ring.find("one") is None
    assert not ring.loaded
    assert "eye keys add" in (ring.fault or "")


def test_a_file_that_comes_later_is_found(tmp_path: Path, clock: Clock) -> None:
    ring = KeyRing(tmp_path / "applications.toml", clock)
    assert ring.find("one") is None
    (tmp_path / "applications.toml").write_text(an_entry("shop", "one", "write"))

    clock.now += CHECK_SECONDS

    assert ring.find("one") is not None


def test_no_key_is_logged(ring: KeyRing, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    ring.find("one")
    ring.find("a-secret-of-somebody")

    assert "one" not in caplog.messages
    assert "a-secret-of-somebody" not in caplog.text


BASIC = base64.b64encode(b"my-key:ignored").decode()


@pytest.mark.parametrize(
    ("header", "value", "key"),
    [
        ("Authorization", "Bearer my-key", "my-key"),
        ("authorization", "bearer   my-key ", "my-key"),
        ("X-API-Key", "my-key", "my-key"),
        ("Authorization", f"Basic {BASIC}", "my-key"),
        ("Authorization", "Bearer", None),
        ("Authorization", "Basic ===", None),
        ("Authorization", "Basic /w==", None),
        ("Authorization", "Digest my-key", None),
        ("X-API-Key", "", None),
        ("Cookie", "my-key", None),
    ],
)
def test_a_key_is_presented_in_one_of_three_ways(header: str, value: str, key: str | None) -> None:
    assert presented_key(CIMultiDictProxy(CIMultiDict({header: value}))) == key
