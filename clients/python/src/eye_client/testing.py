"""For tests of applications that send events: a client that records instead of sending."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec

from eye_client.aio import AsyncEye
from eye_client.counts import Counts
from eye_client.drops import Reason
from eye_client.eye import Eye
from eye_client.options import Options
from eye_client.results import Violation
from eye_client.sender import Sender


class _Recorder:
    """Takes events, and keeps them."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.dropped: Counter[Reason] = Counter()
        self.errors: list[Violation] = []

    def put(self, body: bytes) -> bool:
        """Keep an event, as the gateway would read it."""
        self.events.append(msgspec.json.decode(body))
        return True

    def drop(self, reason: Reason, body: bytes = b"", errors: tuple[Violation, ...] = ()) -> bool:
        """Count an event that a real client would drop."""
        self.dropped[reason] += 1
        self.errors += errors
        return False


class _Recording(Sender):
    """The base of both fakes."""

    def __init__(self) -> None:
        self._recorder = _Recorder()
        Sender.__init__(self, self._recorder, Options.max_event_bytes)

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events sent so far, in order, as the gateway would read them."""
        return self._recorder.events

    @property
    def errors(self) -> list[Violation]:
        """Return the violations for which events were dropped."""
        return self._recorder.errors

    def of(self, category: str, name: str) -> list[dict[str, Any]]:
        """Return the data of the events of one type, in order."""
        return [event["data"] for event in self.events if (event["category"], event["name"]) == (category, name)]

    def counts(self) -> Counts:
        """Return how many events were sent, and how many a real client would drop."""
        dropped = {reason.value: count for reason, count in self._recorder.dropped.items()}
        return Counts(len(self.events), 0, dropped, 0)


class FakeEye(_Recording, Eye):
    """An `Eye` that records: events are encoded and checked as a real one does it, and sent nowhere."""

    def flush(self, timeout: float = 10.0) -> bool:
        """Return True: nothing waits."""
        return True

    def close(self, timeout: float | None = None) -> bool:
        """Return True: nothing waits."""
        return True


class FakeAsyncEye(_Recording, AsyncEye):
    """An `AsyncEye` that records."""

    async def flush(self, timeout: float = 10.0) -> bool:
        """Return True: nothing waits."""
        return True

    async def close(self, timeout: float | None = None) -> bool:
        """Return True: nothing waits."""
        return True
