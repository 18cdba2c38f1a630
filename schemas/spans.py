"""The interface by which processes report spans to a tracing system."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import AbstractContextManager
from typing import Protocol


class Spans(Protocol):
    """The spans of one process. Context is passed as W3C `traceparent`s."""

    def request(self, route: str, traceparent: str | None) -> AbstractContextManager[str | None]:
        """Enclose a request with events in a span, a child of the sender's; yields the span's own traceparent."""

    def chunk(
        self, topic: str, partition: int, first_offset: int, records: int, traceparents: Collection[str]
    ) -> AbstractContextManager[None]:
        """Enclose the work on a chunk in a span with a link to each traceparent; of a single one it is the child."""

    def flush(self) -> None:
        """Send pending spans, waiting briefly; spans that cannot be sent are lost."""
