"""Moments as people type them: a time, or how long ago."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from schemas.timestamp import parse_timestamp

_AGO = re.compile(r"(\d{1,6})\s*(s|m|h|d)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def parse_moment(text: str, now: datetime | None = None) -> datetime:
    """Read `90s`, `10m`, `2h` or `3d` as that long ago, and anything else as ISO 8601. Raises ValueError."""
    try:
        if ago := _AGO.fullmatch(text.strip()):
            return (now or datetime.now(UTC)) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        return parse_timestamp(text)
    except (ValueError, OverflowError):
        raise ValueError(f"{text} is no time like 2021-01-01T09:15, and no time span like 10m, 2h or 3d") from None
