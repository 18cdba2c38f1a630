"""The sinks' metrics."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from sinks.table_stats import TableStats
from stream.runner import buckets


class SinkMetrics:
    """The sinks' metrics, registered in a registry; `table` is a table's name without its schema."""

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
        self._stale_owners = Counter(
            "eye_sinks_frozen_sessions_total",
            "Sessions of frozen workers that were ended, since they held a position.",
            ["table"],
            registry=registry,
        )
        self._chunk_records = Histogram(
            "eye_sinks_chunk_records", "Records of a chunk.", ["table"], buckets=buckets.RECORDS, registry=registry
        )
        self._seconds = Histogram(
            "eye_sinks_chunk_seconds",
            "Time from a chunk to its committed rows.",
            ["table"],
            buckets=buckets.SECONDS,
            registry=registry,
        )
        self._copy = Histogram(
            "eye_sinks_copy_seconds", "Time of one COPY.", ["table"], buckets=buckets.SECONDS, registry=registry
        )

        self._months_ahead = Gauge(
            "eye_events_partitions_ahead", "Months after this one that have a partition.", registry=registry
        )
        self._default_rows = Gauge(
            "eye_events_default_rows", "Events in the default partition, counted up to 100,000.", registry=registry
        )
        self._oldest = Gauge(
            "eye_oldest_row_seconds", "Age of a table's oldest row, by its own time.", ["table"], registry=registry
        )
        self._database = Gauge("eye_database_bytes", "Size of the database on Postgres' disk.", registry=registry)

    @contextmanager
    def chunk(self, table: str) -> Iterator[None]:
        """Time the work on one chunk, unless it fails."""
        with self._seconds.labels(table).time():
            yield

    def copying(self, table: str) -> AbstractContextManager[object]:
        """Time one COPY into a table."""
        return self._copy.labels(table).time()

    def count(self, table: str, *, records: int, rows: int, refused: int) -> None:
        """Count the rows of a committed chunk."""
        self._chunk_records.labels(table).observe(records)
        self._records.labels(table).inc(records)
        self._rows.labels(table).inc(rows)
        self._refused.labels(table).inc(refused)

    def count_stale_owner(self, table: str) -> None:
        """Count a stale owner's session that was ended."""
        self._stale_owners.labels(table).inc()

    def show(self, stats: TableStats, now: datetime) -> None:
        """Set the gauges of the tables' state."""
        self._months_ahead.set(stats.months_ahead)
        self._default_rows.set(stats.default_rows)
        self._database.set(stats.database_bytes)
        for table, moment in stats.oldest.items():
            self._oldest.labels(table).set((now - moment).total_seconds() if moment else 0)
