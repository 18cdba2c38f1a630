"""Every test that a page names as its proof is there."""

from __future__ import annotations

import re

import pytest

from tests.support.examples import PAGES, ROOT

TESTS = "".join(file.read_text() for file in sorted((ROOT / "tests").rglob("*.py")))
NAMED = sorted(
    {(page.name, name) for page in PAGES for name in re.findall(r"`(test_\w+|tests/[\w/]+\.py)`", page.read_text())}
)


@pytest.mark.parametrize(("page", "name"), NAMED)
def test_a_test_that_a_page_names_is_there(page: str, name: str) -> None:
    assert (ROOT / name).exists() if "/" in name else f"def {name}(" in TESTS, page


def test_each_situation_of_operators_says_what_tries_it() -> None:
    text = (ROOT / "docs" / "operators.md").read_text()
    situations = re.findall(r"^## (\d+\..*?)\n(.*?)(?=^## )", text, re.S | re.M)

    assert len(situations) >= 13
    assert [title for title, said in situations if "ried by" not in said] == []
