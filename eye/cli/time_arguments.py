"""Parse options that are times."""

from __future__ import annotations

from datetime import datetime
from typing import overload

import typer

from schemas.timestamp import parse_time

FORMS = "2026-11-27T10:00Z, 2026-11-27, yesterday, or 10m, 2h, 3d ago"
"""The forms of a time, as the help of an option names them."""


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
