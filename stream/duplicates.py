"""The same event sent again: recognised within a window, by its sender's own id."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta

from schemas.verdict import Accepted

_Generation = defaultdict[str, set[str]]


class RecentEvents:
    """Which events of a partition were accepted lately, by application and event_id.

    Remembers at least what came within the window of time, or the last `most` events if that is less, and
    at most twice as much: two generations of ids, the older of which is dropped whole. Time is what the
    records say. Ids are compared whole, so that no other event is ever taken for a duplicate.
    """

    def __init__(self, window: timedelta, most: int) -> None:
        self._window = window
        self._most = most
        self._older: _Generation = defaultdict(set)
        self._newer: _Generation = defaultdict(set)
        self._count = 0
        self._turn_at: datetime | None = None

    def add(self, event: Accepted) -> bool:
        """Remember an event; False when it was there already."""
        application, event_id = event.application, event.event_id
        if event_id in self._newer[application] or event_id in self._older[application]:
            return False
        if self._turn_at is None or event.received_at > self._turn_at or self._count >= self._most:
            self._turn(event.received_at)
        self._newer[application].add(event_id)
        self._count += 1
        return True

    def _turn(self, now: datetime) -> None:
        self._older, self._newer = self._newer, defaultdict(set)
        self._turn_at, self._count = now + self._window, 0
