"""The pages that are generated from the code are those that the code makes now."""

from __future__ import annotations

import pytest

from docs.generate.__main__ import PAGES, REFERENCE
from docs.generate.codes import raised_in
from gateway.problems import ProblemCode
from schemas.verdict import Code


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_what_make_reference_makes(name: str) -> None:
    assert (REFERENCE / name).read_text() == PAGES[name](), "run `make reference`"


def test_every_code_has_a_place_where_it_is_raised() -> None:
    places = raised_in()
    named = [f"Code.{code.name}" for code in Code] + [f"ProblemCode.{code.name}" for code in ProblemCode]

    assert [name for name in named if not places[name]] == []
