"""Recognise an event that was sent again, within a window, by its application and event_id."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from hashlib import sha256

from schemas.verdict import Rejected, Verdict

_Identity = str | bytes
_Generation = defaultdict[str, set[_Identity]]


class RecentEvents:
    """The events of a partition that were judged lately, by application and event_id.

    Holds the events of the last `window`, or the last `most` accepted ones if those are fewer, and as many rejected
    ones. Holds at most twice as many: there are two generations of ids, and the older is dropped whole. Time is that
    of the records. Whole ids are compared, so no other event is ever taken for a duplicate. A rejected event is
    identified by its value as well, since it may be corrected and sent again under its id.
    """

    def __init__(self, window: timedelta, most: int) -> None:
        self._accepted, self._rejected = _Window(window, most), _Window(window, most)

    def add(self, verdict: Verdict) -> bool:
        """Remember an event; return False when it was remembered already."""
        if not isinstance(verdict, Rejected):
            return self._accepted.add(verdict.application, verdict.event_id, verdict.received_at)
        if verdict.raw_truncated:  # the rest of the value is unknown, so nothing can be compared
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
