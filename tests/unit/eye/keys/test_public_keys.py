"""Keys that stand in pages, with the origins they work from; and keys that are kept in a file."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from eye.operations.keys import KeyFileError, add_key, add_origins, kept_key, list_keys, revoke_key
from gateway.access.api_keys import Grant, KeyRing, Scope


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "applications.toml"


def test_a_public_key_works_from_the_origins_it_came_with(path: Path) -> None:
    key = add_key(path, "shop", ["write"], public=True, origins=["https://shop.example", "https://shop.example"])
    add_origins(path, "shop", ["http://127.0.0.1:8000", "https://shop.example"])

    origins = frozenset({"https://shop.example", "http://127.0.0.1:8000"})
    assert KeyRing(path).find(key) == Grant("shop", frozenset({Scope.WRITE}), origins=origins, public=True)
    assert path.read_text().count("https://shop.example") == 1


@pytest.mark.parametrize("origins", [[], ["https://shop.example/"], ["*"]])
def test_a_public_key_without_usable_origins_is_refused(path: Path, origins: list[str]) -> None:
    add_key(path, "shop", ["write"])

    with pytest.raises(KeyFileError, match="origins"):
        add_key(path, "shop", ["write"], public=True, origins=origins)

    assert len(list_keys(path)) == 1


def test_a_kept_key_is_made_again_once_it_opens_nothing(path: Path, tmp_path: Path) -> None:
    kept = tmp_path / "shop.key"
    first, second = (kept_key(kept, path, "shop", ["write"]) for _ in range(2))
    revoke_key(path, list_keys(path)[0].fingerprint)
    third = kept_key(kept, path, "shop", ["write"])

    assert (first == second, second == third) == (True, False)
    assert KeyRing(path).find(third) is not None
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
