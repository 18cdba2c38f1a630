"""The same event sent again: recognised within a window, by its sender's own id."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from hashlib import sha256

from schemas.verdict import Rejected, Verdict

_Identity = str | bytes
_Generation = defaultdict[str, set[_Identity]]


class RecentEvents:
    """Which events of a partition were judged lately, by application and event_id.

    Remembers at least what came within the window of time, or the last `most` accepted events if that is less,
    and as many rejected ones; and at most twice as much: two generations of ids, the older of which is dropped
    whole. Time is what the records say. Ids are compared whole, so that no other event is ever taken for a
    duplicate. A rejected event is known by its value as well: mended, it may come again under its id.
    """

    def __init__(self, window: timedelta, most: int) -> None:
        self._accepted, self._rejected = _Window(window, most), _Window(window, most)

    def add(self, verdict: Verdict) -> bool:
        """Remember an event; False when it was there already."""
        if not isinstance(verdict, Rejected):
            return self._accepted.add(verdict.application, verdict.event_id, verdict.received_at)
        if verdict.raw_truncated:  # what the rest of it is, nobody knows
            return True
        return self._rejected.add(verdict.application, _digest(verdict), verdict.received_at)


def _digest(rejected: Rejected) -> bytes:
    parts = rejected.event_id, rejected.raw_encoding, rejected.raw
    return sha256("\0".join(parts).encode()).digest()


class _Window:
    def __init__(self, window: timedelta, most: int) -> None:
        self._window = window
        self._most = most
        self._older: _Generation = defaultdict(set)
        self._newer: _Generation = defaultdict(set)
        self._count = 0
        self._turn_at: datetime | None = None

    def add(self, application: str, identity: _Identity, received_at: datetime) -> bool:
        newer = self._newer[application]
        if identity in newer or identity in self._older[application]:
            return False
        if self._turn_at is None or received_at > self._turn_at or self._count >= self._most:
            self._turn(received_at)
            newer = self._newer[application]
        newer.add(identity)
        self._count += 1
        return True

    def _turn(self, now: datetime) -> None:
        self._older, self._newer = self._newer, defaultdict(set)
        self._turn_at, self._count = now + self._window, 0
