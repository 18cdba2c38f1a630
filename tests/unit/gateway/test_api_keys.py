"""Keys: found by their digest, read again when the file changes, never forgotten for a typing error."""

from __future__ import annotations

import base64
import hashlib
import logging
import time
from pathlib import Path

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from gateway.access.api_keys import CHECK_SECONDS, Grant, KeyRing, Limit, Scope, parse_applications
from gateway.access.authorization import presented_key
from gateway.problems import Unauthorized


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
        '[[applications]]\nid = "shop"\nburst = 5',
        '[[applications]]\nid = "shop"\nrate = 0',
        '[[applications]]\nid = "shop"\nrate = -1',
        '[[applications]]\nid = "shop"\nrate = nan',
        '[[applications]]\nid = "shop"\nrate = inf',
        '[[applications]]\nid = "shop"\nrate = "many"',
        '[[applications]]\nid = "shop"\nrate = 5\nburst = 0.5',
        '[[applications]]\nid = "shop"\nrate = 5\nburst = inf',
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


def limited(application: str, key: str) -> str:
    """Limits of an application, and of its key."""
    entry = an_entry("shop", "one", "write").replace('"write"] }', f'"write"], {key} }}')
    return entry.replace("keys", f"{application}\nkeys")


@pytest.mark.parametrize(
    ("application", "key", "limits"),
    [
        ("rate = 1000\nburst = 5000", "rate = 10.5", [("application shop", 1000, 5000), ("key", 10.5, 10.5)]),
        ("rate = 0.1", "rate = 2, burst = 1", [("application shop", 0.1, 1), ("key", 2, 1)]),
    ],
)
def test_a_key_comes_with_its_limits(
    ring: KeyRing, path: Path, application: str, key: str, limits: list[tuple[str, float, float]]
) -> None:
    name = f"key {hashlib.sha256(b'one').hexdigest()[:12]}"
    path.write_text(limited(application, key))

    found = ring.find("one")

    assert found is not None
    assert found.limits == tuple(Limit(owner.replace("key", name), rate, burst) for owner, rate, burst in limits)


@pytest.mark.parametrize("stated", ["accept", "reject"])
def test_an_application_may_state_what_becomes_of_unknown_types(stated: str) -> None:
    entry = an_entry("shop", "key", "write") + f'unknown_event_types = "{stated}"\n'

    file = parse_applications(entry.encode())

    assert {grant.unknown_event_types for grant in file.grants.values()} == {stated}
    assert {known.grant.unknown_event_types for known in file.keys.values()} == {stated}


def test_any_other_word_on_unknown_types_is_refused() -> None:
    entry = an_entry("shop", "key", "write") + 'unknown_event_types = "maybe"\n'

    with pytest.raises(ValueError, match=r"applications\[0\]\.unknown_event_types"):
        parse_applications(entry.encode())


def test_how_long_a_wrong_key_takes_tells_nothing_of_the_right_one(path: Path) -> None:
    right = "eye_" + "k" * 40
    path.write_text(an_entry("shop", right, "write"))
    wrong = {"far": "x" * len(right), "near": right[:-1] + "x", "short": "x"}
    fastest = dict.fromkeys(wrong, float("inf"))

    for _ in range(300):
        for name, key in wrong.items():
            ring = KeyRing(path)  # so that no key has been seen before
            ring.refresh()
            started = time.perf_counter_ns()
            assert ring.find(key) is None
            fastest[name] = min(fastest[name], time.perf_counter_ns() - started)

    assert max(fastest.values()) < 1.5 * min(fastest.values())


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


def an_expiring_key(path: Path, expires: str) -> None:
    digest = hashlib.sha256(b"one").hexdigest()
    path.write_text(
        f'[[applications]]\nid = "shop"\nkeys = [{{ sha256 = "{digest}", scopes = ["read"], expires = {expires} }}]\n'
    )


def test_a_key_opens_nothing_from_its_expiry_on(path: Path, clock: Clock) -> None:
    an_expiring_key(path, "1970-01-01T01:00:00Z")
    ring = KeyRing(path, clock, now=clock)

    clock.now = 3599.0
    assert ring.find("one") == Grant("shop", frozenset({Scope.READ}))
    clock.now = 3600.0
    with pytest.raises(Unauthorized, match="expired at 1970-01-01 01:00 UTC"):
        ring.find("one")


@pytest.mark.parametrize("expires", ['"2030-01-01T00:00:00Z"', "2030-01-01", "2030-01-01T00:00:00", "7"])
def test_an_expiry_is_a_time_with_its_zone(path: Path, expires: str) -> None:
    an_expiring_key(path, expires)

    with pytest.raises(ValueError, match="expires"):
        parse_applications(path.read_bytes())


def test_the_hour_of_a_keys_last_use_is_known(path: Path, clock: Clock) -> None:
    ring = KeyRing(path, clock, now=clock)
    used = {}
    for clock.now in (100.0, 7300.0):
        assert ring.find("one")
        assert ring.find("three") is None
        used = ring.last_used

    assert used == {hashlib.sha256(b"one").hexdigest()[:12]: "1970-01-01T02:00Z"}

    path.write_text(an_entry("blog", "two", "read"))
    clock.now += CHECK_SECONDS
    ring.refresh()
    assert ring.last_used == {}
