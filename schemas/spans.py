"""What the processes tell a tracing system, where one is asked for: the words alone, nobody is told here."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import AbstractContextManager
from typing import Protocol


class Spans(Protocol):
    """The spans of one process. Context travels as W3C `traceparent`s."""

    def request(self, route: str, traceparent: str | None) -> AbstractContextManager[str | None]:
        """Enclose a request with events in a span, a child of the sender's; gives the span's own traceparent."""

    def chunk(
        self, topic: str, partition: int, first_offset: int, records: int, traceparents: Collection[str]
    ) -> AbstractContextManager[None]:
        """Enclose the work on a chunk in a span with a link to each of these; where there is one alone, its child."""

    def flush(self) -> None:
        """Send what has not been sent, within a moment; what can't be is lost."""
