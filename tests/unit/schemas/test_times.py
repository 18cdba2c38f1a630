"""Times as people type them, on the command line and in the query of a read."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from schemas.timestamp import parse_time

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "ago"),
    [
        ("90s", timedelta(seconds=90)),
        ("10m", timedelta(minutes=10)),
        (" 2 h ", timedelta(hours=2)),
        ("3d", timedelta(days=3)),
        ("1w", timedelta(weeks=1)),
        ("now", timedelta()),
        ("today", timedelta(hours=12)),
        ("Yesterday", timedelta(hours=36)),
    ],
)
def test_a_time_span_is_so_long_ago(text: str, ago: timedelta) -> None:
    assert parse_time(text, NOW) == NOW - ago


@pytest.mark.parametrize("text", ["2026-11-22T10:00:00", "2026-11-22T10:00Z", "2026-11-22 12:00+02:00"])
def test_a_time_is_itself(text: str) -> None:
    assert parse_time(text, NOW) == NOW - timedelta(hours=2)


@pytest.mark.parametrize("text", ["", "soon", "10", "-3h", "2026-11-31", "3 weeks", "999999d", "tomorrow"])
def test_anything_else_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="is no time: write 2026-11-27T10:00Z"):
        parse_time(text, NOW)


def test_a_date_is_its_midnight() -> None:
    assert parse_time("2026-11-22", NOW) == NOW - timedelta(hours=12)
