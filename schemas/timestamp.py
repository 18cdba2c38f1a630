"""Timestamps as applications send them (ISO 8601 and RFC 3339 text), and times as people type them, read as UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

import msgspec

EXAMPLE = "2021-01-01 09:15:27.243860"

TIME_FORMS = "write 2026-11-27T10:00Z, 2026-11-27, yesterday, today, now, or a span before now like 10m, 2h or 3d"
"""The forms of a time that people type, as `parse_time` reads them."""

_SPAN = re.compile(r"(\d{1,6})\s*([smhdw])", re.ASCII)
_UNITS = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)

_BEGIN = datetime(1970, 1, 1)
_BEGIN_IN_UTC = _BEGIN.replace(tzinfo=UTC)
_SHOWN = 48
_SHAPE = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d|\d{8}|\d{4}-W\d\d-\d|\d{4}W\d{3})[T ]"
    r"(?P<hour>\d\d)(?::?(?P<minute>\d\d)(?::?(?P<second>\d\d)(?:[.,](?P<fraction>\d+))?)?)?"
    r"(?P<offset>Z|[+-]\d\d(?::?\d\d(?::?\d\d(?:\.\d+)?)?)?)?",
    re.ASCII | re.IGNORECASE,
)


def parse_timestamp(text: str) -> datetime:
    """Read an ISO 8601 date and time, separated by T or a space; without an offset it is UTC.

    Second 60 is the next second, hour 24 the next day. Returns a time in UTC, to the microsecond. Raises ValueError,
    with a sentence that shows what was sent, for anything else: a date alone, or a time outside the years 1 to 9999.
    """
    try:
        return in_utc(msgspec.convert(text, datetime))  # RFC 3339, as `SentEvent` reads it
    except msgspec.ValidationError:
        pass
    parts = _SHAPE.fullmatch(text)
    if parts is None:
        raise ValueError(f"{_shown(text)} is not an ISO 8601 date and time, like {EXAMPLE}")
    hour, minute, second = (int(parts[name] or 0) for name in ("hour", "minute", "second"))
    fraction = (parts["fraction"] or "")[:6].ljust(6, "0")
    is_midnight = (hour, minute, second, int(fraction)) == (24, 0, 0, 0)
    for name, value, most in (
        ("hour", hour, 24 if is_midnight else 23),
        ("minute", minute, 59),
        ("second", second, 60),
    ):
        if value > most:
            raise ValueError(f"{_shown(text)} has {name} {value}: {_RANGES[name]}")
    time = timedelta(hours=hour, minutes=minute, seconds=second, microseconds=int(fraction))
    try:
        moment = _date(parts["date"]) + time
    except ValueError:
        raise ValueError(f"{_shown(text)} has a date that no calendar has") from None
    except OverflowError:
        raise ValueError(f"{_shown(text)} is outside the years 1 to 9999") from None
    return in_utc(moment.replace(tzinfo=_zone(text, parts["offset"])))


def parse_time(text: str, now: datetime | None = None) -> datetime:
    """Read a time as people type it, in UTC.

    A timestamp; a date, which is its midnight; `now`, `today`, `yesterday`; or a span before now: `90s`, `10m`, `2h`,
    `3d`, `1w`. Raises ValueError, with a sentence that shows these forms.
    """
    typed, now = text.strip().lower(), now or datetime.now(UTC)
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    named = {"now": now, "today": midnight, "yesterday": midnight - timedelta(days=1)}
    try:
        if typed in named:
            return named[typed]
        if span := _SPAN.fullmatch(typed):
            return now - int(span[1]) * _UNITS[span[2]]
        return parse_timestamp(f"{typed}T00:00Z" if _DAY.fullmatch(typed) else text.strip())
    except (ValueError, OverflowError):
        raise ValueError(f"{_shown(text)} is no time: {TIME_FORMS}") from None


def in_utc(moment: datetime) -> datetime:
    """Convert a time to UTC; one without an offset is UTC. Raises ValueError outside the years 1 to 9999."""
    if moment.tzinfo is UTC:
        return moment
    if moment.tzinfo is None:
        return _BEGIN_IN_UTC + (moment - _BEGIN)  # a fifth of what replace() takes
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("the timestamp is outside the years 1 to 9999") from error


_RANGES = {
    "hour": "hours go from 0 to 23, and 24:00:00 is the end of a day",
    "minute": "minutes go from 0 to 59",
    "second": "seconds go from 0 to 59, and 60 is a leap second",
}


def _date(text: str) -> datetime:
    return datetime.fromisoformat(text.upper())


def _zone(text: str, offset: str | None) -> timezone:
    """Return the zone of an offset like Z, +02, +0200 or +02:00; none is UTC."""
    if offset is None or offset in "Zz":
        return UTC
    digits = re.sub(r"[^\d.]", "", offset)
    hours, minutes, seconds = int(digits[:2]), int(digits[2:4] or 0), float(digits[4:] or 0)
    if hours > 23 or minutes > 59 or seconds >= 60:
        raise ValueError(f"{_shown(text)} has the offset {offset}: offsets go from -23:59 to +23:59")
    distance = timedelta(hours=hours, minutes=minutes, seconds=seconds)
    return timezone(-distance if offset.startswith("-") else distance)


def _shown(text: str) -> str:
    """Quote what was sent, cut where it is long."""
    return f'"{text[:_SHOWN]}…"' if len(text) > _SHOWN else f'"{text}"'
