"""A drill's books: what does not balance is told, and nothing where all does."""

from __future__ import annotations

from typing import Any

import pytest

from eye.operations.books.lines import Ledger, LedgerLine, MissingEvent
from tests.faults.harness.books import faults_of
from tests.support.builders import RECEIVED, after


def the_ledger(line: dict[str, int], **changes: Any) -> Ledger:
    return Ledger(RECEIVED, after(3600), [LedgerLine("shop", RECEIVED, **line)], **changes)


def test_books_that_balance_say_nothing() -> None:
    assert faults_of(the_ledger({"received": 4, "stored": 2, "rejected": 1, "duplicate": 1}), rows=3) == []


def test_what_is_missing_is_named_with_its_line_and_its_place() -> None:
    ledger = the_ledger({"received": 4, "stored": 2, "rejected": 1}, missing=[MissingEvent("shop", "e-1", 2, 17)])

    [unbalanced, missing] = faults_of(ledger, rows=3)

    assert "shop, 2021-01-01 09:15: received 4, stored 2, rejected 1, duplicate 0, difference 1" in unbalanced
    assert missing == "the ledger misses e-1 (2:17)"


def test_of_many_that_are_missing_some_are_named() -> None:
    missing = [MissingEvent("shop", f"e-{number}", 0, number) for number in range(20)]

    [sentence] = faults_of(the_ledger({}, missing=missing), rows=0)

    assert sentence == "the ledger misses e-0 (0:0), e-1 (0:1), e-2 (0:2), and more"


@pytest.mark.parametrize(
    ("line", "changes", "rows", "sentence"),
    [
        ({"received": 2, "stored": 2}, {"doubled": 1}, 2, "the ledger finds 1 rows of events that have one already"),
        ({"received": 1, "in_flight": 1}, {}, 0, "the ledger has 1 events in flight, though all has settled"),
        ({"received": 2, "stored": 1, "duplicate": 1}, {}, 2, "the ledger counts 1 rows, and there are 2"),
    ],
)
def test_books_that_balance_and_yet_are_wrong_are_told(
    line: dict[str, int], changes: dict[str, Any], rows: int, sentence: str
) -> None:
    assert faults_of(the_ledger(line, **changes), rows) == [sentence]
