"""Who is logged in: a visitor for each session cookie, known by the key that was presented."""

from __future__ import annotations

import hashlib
import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field

log = logging.getLogger(__name__)

COOKIE = "eye_console"
IDLE_SECONDS = 3600.0
LONGEST_SECONDS = 12 * 3600.0
MOST_VISITORS = 1_000


READING = frozenset({"read", "read_all"})
"""Scopes either of which opens the console."""


class NotAllowed(Exception):
    """A visitor may not do what was asked; the message says why."""


@dataclass(slots=True)
class Visitor:
    """Somebody who presented a key: its application and scopes as the gateway knows them; `dark` is their choice."""

    key: str = field(repr=False)
    application: str
    scopes: frozenset[str]
    began: float
    seen: float
    checked: float
    dark: bool | None = None
    gone: bool = False

    @property
    def is_admin(self) -> bool:
        """True when the key may change data."""
        return "admin" in self.scopes

    @property
    def may_read(self) -> bool:
        """True when the key may read at all."""
        return bool(self.scopes & READING)

    @property
    def fingerprint(self) -> str:
        """The beginning of the key's SHA-256, as `eye keys list` shows it."""
        return hashlib.sha256(self.key.encode()).hexdigest()[:12]


class Visitors:
    """The visitors of this process by their cookie; at most MOST_VISITORS, the one unseen for longest gives way."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._visitors: dict[str, Visitor] = {}

    def add(self, key: str, application: str, scopes: frozenset[str]) -> str:
        """Let somebody in; returns the value of their cookie."""
        if len(self._visitors) >= MOST_VISITORS:
            self.remove(min(self._visitors, key=lambda token: self._visitors[token].seen))
        now, token = self._clock(), secrets.token_urlsafe(32)
        self._visitors[token] = Visitor(key, application, scopes, now, now, now)
        return token

    def find(self, token: str | None) -> Visitor | None:
        """Return the visitor of a cookie, None where there is none, or no longer."""
        visitor = self._visitors.get(token or "")
        if token is None or visitor is None:
            return None
        now = self._clock()
        if now - visitor.seen > IDLE_SECONDS or now - visitor.began > LONGEST_SECONDS:
            self.remove(token)
            return None
        visitor.seen = now
        return visitor

    def remove(self, token: str | None) -> None:
        """Log somebody out: pages of theirs that are still open do nothing more."""
        visitor = self._visitors.pop(token or "", None)
        if visitor is not None:
            visitor.gone = True

    def age_of_check(self, visitor: Visitor) -> float:
        """Return how many seconds ago the gateway was asked about the visitor's key."""
        return self._clock() - visitor.checked

    def confirm(self, visitor: Visitor, scopes: frozenset[str]) -> None:
        """Take what the gateway says of the visitor's key now."""
        visitor.scopes, visitor.checked = scopes, self._clock()


def audit(visitor: Visitor, what: str) -> None:
    """Log a change with who made it: the key's application and fingerprint."""
    log.warning("console: %s, by %s with key %s", what, visitor.application, visitor.fingerprint)
