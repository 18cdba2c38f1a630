"""The page of tables is what the migrations make."""

from __future__ import annotations

import re

from docs.generate.__main__ import REFERENCE
from docs.generate.tables import tables_page


def test_the_page_is_what_make_reference_makes(dsn: str) -> None:
    assert (REFERENCE / "tables.md").read_text() == tables_page(dsn), "run `make reference`"


def test_every_table_and_column_has_a_meaning(dsn: str) -> None:
    rows = [line for line in tables_page(dsn).splitlines() if line.startswith("| `")]

    assert rows
    assert [row for row in rows if re.search(r"\|\s*\|$", row)] == []
