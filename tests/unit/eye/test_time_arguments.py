"""Moments as operators type them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from eye.cli.time_arguments import parse_moment

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "ago"),
    [
        ("90s", timedelta(seconds=90)),
        ("10m", timedelta(minutes=10)),
        (" 2 h ", timedelta(hours=2)),
        ("3d", timedelta(days=3)),
    ],
)
def test_a_time_span_is_so_long_ago(text: str, ago: timedelta) -> None:
    assert parse_moment(text, NOW) == NOW - ago


@pytest.mark.parametrize("text", ["2026-11-22T10:00:00", "2026-11-22 12:00+02:00"])
def test_a_time_is_itself(text: str) -> None:
    assert parse_moment(text, NOW) == NOW - timedelta(hours=2)


@pytest.mark.parametrize("text", ["", "soon", "10", "-3h", "2026-11-22", "3 weeks", "999999d"])
def test_anything_else_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="no time like"):
        parse_moment(text, NOW)
