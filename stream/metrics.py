"""What the stream counts and times."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Histogram

from schemas.verdict import Accepted, Rejected, Verdict


class StreamMetrics:
    """The stream's metrics, in a registry of their own."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._accepted = Counter(
            "eye_stream_accepted_total", "Events that kept every rule.", ["application"], registry=registry
        )
        self._rejected = Counter(
            "eye_stream_rejected_total", "Events that broke a rule, by its code.", ["application", "code"],
            registry=registry,
        )  # fmt: skip
        self._duplicates = Counter(
            "eye_stream_duplicates_total", "Events dropped since they came before.", ["application"],
            registry=registry,
        )  # fmt: skip
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

    def count(self, verdicts: Iterable[Verdict], duplicates: Iterable[Accepted]) -> None:
        """Count what a committed chunk led to."""
        accepted: Tally[str] = Tally()
        for verdict in verdicts:
            match verdict:
                case Accepted(application=application):
                    accepted[application] += 1
                case Rejected(application=application):
                    for code in verdict.codes:
                        self._rejected.labels(application, code).inc()
        for application, number in accepted.items():
            self._accepted.labels(application).inc(number)
        for application, number in Tally(event.application for event in duplicates).items():
            self._duplicates.labels(application).inc(number)
