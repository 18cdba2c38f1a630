"""What the stream counts and times."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Histogram

from schemas.verdict import Accepted, Rejected, Verdict

_WORDS = {Accepted: "accepted", Rejected: "rejected"}


class StreamMetrics:
    """The stream's metrics, in a registry of their own."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._events = Counter(
            "eye_stream_events_total",
            "Raw records judged, by verdict: accepted, rejected, or duplicate of an event judged before.",
            ["application", "verdict"],
            registry=registry,
        )
        self._violations = Counter(
            "eye_stream_violations_total",
            "Rejected events by the code of each rule they broke.",
            ["application", "code"],
            registry=registry,
        )
        self._records = Histogram(
            "eye_stream_chunk_records", "Records of a chunk.", buckets=(1, 10, 100, 1_000, 10_000), registry=registry
        )
        self._seconds = Histogram(
            "eye_stream_chunk_seconds", "Time from a chunk to its committed transaction.", registry=registry
        )

    @contextmanager
    def chunk(self, records: int) -> Iterator[None]:
        """Time the work on one chunk."""
        with self._seconds.time():
            yield
        self._records.observe(records)

    def count(self, verdicts: Sequence[Verdict], duplicates: Iterable[Verdict]) -> None:
        """Count what a committed chunk led to."""
        events = Tally([(verdict.application, type(verdict)) for verdict in verdicts])
        for (application, kind), number in events.items():
            self._events.labels(application, _WORDS[kind]).inc(number)
        for duplicate in duplicates:
            self._events.labels(duplicate.application, "duplicate").inc()
        for verdict in verdicts:
            if isinstance(verdict, Rejected):
                for code in verdict.codes:
                    self._violations.labels(verdict.application, code).inc()
