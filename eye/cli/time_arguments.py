"""Parse options that are times."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import overload

import typer

from schemas.timestamp import parse_time

FORMS = "2026-11-27T10:00Z, 2026-11-27, yesterday, or 10m, 2h, 3d ago"
"""The forms of a time, as the help of an option names them."""


EXPIRY_FORMS = "2027-01-31, 2027-01-31T10:00Z, or 12h, 90d from now"
"""The forms of a time to come."""


@overload
def parse_option(option: str, text: str) -> datetime: ...
@overload
def parse_option(option: str, text: str | None) -> datetime | None: ...
def parse_option(option: str, text: str | None) -> datetime | None:
    """Read the value of an option that is a time, in UTC; None when it was not given. Raises typer.BadParameter."""
    try:
        return None if text is None else parse_time(text)
    except ValueError as error:
        raise typer.BadParameter(f"{option} {text}: {error}") from None


def parse_expiry(option: str, text: str) -> datetime:
    """Read the value of an option that is a time to come, in UTC; a span is one from now. Raises typer.BadParameter."""
    now = datetime.now(UTC)
    moment = parse_option(option, text)
    try:
        if text.strip()[:1].isdecimal() and text.strip()[-1:].lower() in "smhdw":
            moment = now + (now - parse_time(text, now))
    except OverflowError:
        raise typer.BadParameter(f"{option} {text} is too far away") from None
    if moment <= now:
        raise typer.BadParameter(f"{option} {text} is over: {EXPIRY_FORMS}")
    return moment
