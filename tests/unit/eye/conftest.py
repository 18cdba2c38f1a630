"""An applications.toml."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.eye.keys.keys_file import COMMENTED


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "applications.toml"


@pytest.fixture
def commented(tmp_path: Path) -> Path:
    path = tmp_path / "applications.toml"
    path.write_text(COMMENTED)
    return path
