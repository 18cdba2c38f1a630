"""Parse times on the command line: a time, or a time span before now."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import typer

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


def parse_option(text: str | None) -> datetime | None:
    """Read an option that is a time, None when it was not given. Raises typer.BadParameter."""
    try:
        return None if text is None else parse_moment(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
