"""What the sinks count and time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Histogram


class SinkMetrics:
    """The sinks' metrics, in a registry of their own; `table` is a table's name without its schema."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._records = Counter(
            "eye_sinks_records_total", "Records worked on, stored before or not.", ["table"], registry=registry
        )
        self._rows = Counter(
            "eye_sinks_rows_total", "Rows that were new, or newer than the one there.", ["table"], registry=registry
        )
        self._refused = Counter(
            "eye_sinks_refused_total", "Records that Postgres refused for good.", ["table"], registry=registry
        )
        self._seconds = Histogram(
            "eye_sinks_chunk_seconds", "Time from a chunk to its committed rows.", ["table"], registry=registry
        )

    @contextmanager
    def chunk(self, table: str) -> Iterator[None]:
        """Time the work on one chunk; what fails is not counted."""
        with self._seconds.labels(table).time():
            yield

    def count(self, table: str, *, records: int, rows: int, refused: int) -> None:
        """Count what a committed chunk led to."""
        self._records.labels(table).inc(records)
        self._rows.labels(table).inc(rows)
        self._refused.labels(table).inc(refused)
