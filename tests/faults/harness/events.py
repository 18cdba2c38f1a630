"""The events of a drill: each known by its id, with the verdict it has to get."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from schemas.verdict import Code
from tests.support.pipeline import Event, an_event

Place = tuple[int, int]
"""Number of the request within its lane, and index within the request."""

INVALID_SHARE = 0.05

_FAULTS: dict[Code, dict[str, Any]] = {
    Code.MISSING_FIELD: {"data": {"host": "www.example.com"}},
    Code.UNKNOWN_EVENT_TYPE: {"name": "dance"},
    Code.BAD_TIMESTAMP: {"timestamp": "yesterday"},
    Code.UNKNOWN_FIELD: {"colour": "red"},
}


@dataclass(eq=False)
class Known:
    """An event that was made for a drill, and what its sender knows of it.

    `codes` are the faults it has to be rejected for, none for a valid one. It was on its way from the request
    `first` on; at `acknowledged` it got its 2xx, None as long as it has none.
    """

    body: Event
    codes: frozenset[str]
    first: Place | None = None
    acknowledged: Place | None = None

    @property
    def event_id(self) -> str:
        """Its own id, a UUID."""
        return str(self.body["event_id"])

    @property
    def session_id(self) -> str:
        """The session it belongs to, whose events all come from one lane."""
        return str(self.body["session_id"])


def a_known_event(chance: random.Random, session_id: str, now: datetime, skew: timedelta) -> Known:
    """Make the next event of a session, by a sender whose clock is wrong by `skew`."""
    body = an_event(session_id=session_id, timestamp=_written(now + skew), event_id=_uuid(chance))
    codes = {Code.FUTURE_TIMESTAMP} if skew > timedelta(minutes=2) else set()
    if chance.random() < INVALID_SHARE:
        fault = chance.choice(list(_FAULTS))
        body |= _FAULTS[fault]
        codes = {fault} if fault is Code.BAD_TIMESTAMP else codes | {fault}
    return Known(body, frozenset(codes))


def _written(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(sep=" ").removesuffix("+00:00")


def _uuid(chance: random.Random) -> str:
    digits = f"{chance.getrandbits(128):032x}"
    return "-".join((digits[:8], digits[8:12], f"4{digits[13:16]}", f"a{digits[17:20]}", digits[20:]))
