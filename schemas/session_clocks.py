"""The clock offset of a session: how far its sender's clock is off, as its first event tells."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Protocol


class SessionClocks(Protocol):
    """Knows the clock offset of each session.

    One session has one offset, so a correction never changes the order of its events. The first event of a session
    decides it, accepted or rejected; afterwards it stays, also where there is none.
    """

    def clock_offset(self, session_id: str, sent_at: datetime | None, received_at: datetime) -> int | None:
        """Return a session's offset in milliseconds, decided by this event if it is the first; None without one."""


class FirstEventDecides(SessionClocks):
    """Session clocks in memory. What is `known` counts; any other session is decided by its first event here."""

    def __init__(self, skew: timedelta | None, known: Mapping[str, int | None] | None = None) -> None:
        self.known = known or {}
        self._skew = skew
        self._decided: dict[str, int | None] = {}

    def clock_offset(self, session_id: str, sent_at: datetime | None, received_at: datetime) -> int | None:
        """Return a session's offset in milliseconds, decided by this event if it is the first; None without one."""
        if session_id in self.known:
            return self.known[session_id]
        if session_id not in self._decided:
            self._decided[session_id] = clock_offset(sent_at, received_at, self._skew)
        return self._decided[session_id]


def clock_offset(sent_at: datetime | None, received_at: datetime, skew: timedelta | None) -> int | None:
    """Return how far a sender's clock is behind the time of reception, in milliseconds.

    None where it is off by no more than `skew`, where nothing is known of it, and where `skew` is None.
    """
    if sent_at is None or skew is None:
        return None
    offset = received_at - sent_at
    return round(offset / _MILLISECOND) if abs(offset) > skew else None


def corrected(timestamp: datetime, offset: int | None) -> datetime:
    """Return when an event occurred by a clock that is right. Raises ValueError outside the years 1 to 9999."""
    if offset is None:
        return timestamp
    try:
        return timestamp + timedelta(milliseconds=offset)
    except OverflowError as error:
        raise ValueError("corrected by the sender's clock, it is outside the years 1 to 9999") from error


_MILLISECOND = timedelta(milliseconds=1)
