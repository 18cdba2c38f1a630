"""Times that senders give as numbers: units since 1970 UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

MILLIS = 1_000
NANOS = 1_000_000_000
"""Units of a second."""

_BEGIN = datetime(1970, 1, 1, tzinfo=UTC)
_FAR_SECONDS = 10**12
"""No calendar reaches as far."""


def from_epoch(count: str, per_second: int) -> str:
    """Return the ISO 8601 text of a time, to the microsecond. What is no such number, or too far, stays as it is."""
    try:
        seconds = Decimal(count) / per_second
        if abs(seconds) > _FAR_SECONDS:
            return count
        return (_BEGIN + timedelta(microseconds=int(seconds * 1_000_000))).isoformat()
    except ArithmeticError:
        return count
