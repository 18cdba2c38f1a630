"""The same event sent again: recognised within a window, by its sender's own id."""

from __future__ import annotations

from datetime import datetime, timedelta

from schemas.verdict import Accepted


class RecentEvents:
    """Which events of a partition were accepted lately.

    The window is bounded by time and by number, whichever is less; time is what the records say. Ids are
    compared whole, so that no other event is ever taken for a duplicate.
    """

    def __init__(self, window: timedelta, most: int) -> None:
        self._window = window
        self._most = most
        self._seen: dict[tuple[str, str], datetime] = {}
        self._now: datetime | None = None

    def __len__(self) -> int:
        """How many events are remembered."""
        return len(self._seen)

    def add(self, event: Accepted) -> bool:
        """Remember an event; False when it was there already."""
        key = (event.application, event.event_id)
        now = self._now = max(self._now or event.received_at, event.received_at)
        self._forget_old(now)
        if key in self._seen:
            return False
        self._seen[key] = now
        return True

    def _forget_old(self, now: datetime) -> None:
        while self._seen:
            oldest = next(iter(self._seen))
            if len(self._seen) < self._most and now - self._seen[oldest] <= self._window:
                return
            del self._seen[oldest]
