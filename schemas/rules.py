"""The rules for events: the catalogue, and limits that hold for every type."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from schemas.catalogue import Catalogue, EventType
from schemas.payload import AnyPayload
from schemas.verdict import Code

MAX_VERSION = 2**31 - 1
"""The highest version of an event type: the largest four-byte integer."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one deployment. Processes with equal rules give equal verdicts."""

    catalogue: Catalogue
    max_event_bytes: int = 64 * 1024
    max_future: timedelta = timedelta(seconds=60)
    max_age: timedelta | None = None
    accept_unknown_types: bool = False
    clock_skew: timedelta | None = timedelta(seconds=60)

    def type_of(
        self,
        category: str,
        name: str,
        version: int | None = None,
        accept_unknown: bool | None = None,
        received_at: datetime | None = None,
    ) -> EventType | None:
        """Return an event type, in its default version of when an event was received unless one is given.

        None if it is unknown. `accept_unknown` is what the application states of types that the catalogue lacks; None:
        nothing.
        """
        found = self.catalogue.find(category, name, version, received_at)
        return found or self._unknown(category, name, version, accept_unknown)

    def _unknown(self, category: str, name: str, version: int | None, accept_unknown: bool | None) -> EventType | None:
        """Return a type that accepts any payload, if unknown types are accepted and this is one."""
        accepts = self.accept_unknown_types if accept_unknown is None else accept_unknown
        if not accepts or self.catalogue.find(category, name):
            return None
        possible = version is None or 1 <= version <= MAX_VERSION
        return EventType(category, name, version or 1, AnyPayload) if possible else None

    def time_fault(self, occurred_at: datetime, received_at: datetime) -> tuple[Code, str] | None:
        """Check a timestamp against the time of reception; return None when it is valid."""
        if occurred_at - received_at > self.max_future:
            seconds = self.max_future.total_seconds()
            return Code.FUTURE_TIMESTAMP, f"more than {seconds:g} s after the event was received"
        if self.max_age is not None and received_at - occurred_at > self.max_age:
            seconds = self.max_age.total_seconds()
            return Code.TOO_OLD, f"more than {seconds:g} s before the event was received"
        return None
