"""The documents name files, functions and settings that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from schemas.settings import Settings

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
PACKAGES = "schemas|gateway|stream|sinks|eye|tests|bench|deploy|docs"
OTHERS = {"EYE_SECRETS_DIR", "EYE_URL", "EYE_KEY"}
"""Variables that are none of the settings."""

WRITTEN = {"bench/results.json", "bench/results.svg"}
"""Files that a run writes."""

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())


@pages
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    if page.name == "performance-history.md":
        pytest.skip("names the files of earlier builds")
    named = re.findall(rf"`((?:{PACKAGES})/[\w./-]+)(?:[:` ])", page.read_text())

    assert [name for name in named if name not in WRITTEN and not (ROOT / name).exists()] == []


@pages
def test_every_function_that_a_page_names_is_there(page: Path) -> None:
    named = re.findall(rf"`((?:{PACKAGES})/[\w/]+\.py): ([\w.]+)`", page.read_text())
    missing = [
        f"{file}: {name}"
        for file, name in named
        if not re.search(
            rf"^\s*(?:(?:async )?def|class) {name.split('.')[-1]}\b|^{name}\b", (ROOT / file).read_text(), re.M
        )
    ]

    assert missing == []


@pages
def test_every_setting_that_a_page_names_is_there(page: Path) -> None:
    known = {f"EYE_{name.upper()}" for name in Settings.model_fields} | OTHERS
    named = set(re.findall(r"`(EYE_[A-Z_]+[A-Z])[`=]", page.read_text()))

    assert sorted(named - known) == []
