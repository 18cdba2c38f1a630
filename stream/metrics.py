"""The stream's metrics."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from prometheus_client import CollectorRegistry, Counter, Histogram

from schemas.verdict import Accepted, Rejected, Verdict
from stream.runner import buckets

_WORDS = {Accepted: "accepted", Rejected: "rejected"}

OTHER = "other"
"""Label for event types that the catalogue lacks, and for applications beyond the first MAX_APPLICATIONS."""

MAX_APPLICATIONS = 1_000


class StreamMetrics:
    """The stream's metrics, registered in a registry.

    The values of every label are bounded: by the codes, the known event types (category, name) and the first
    MAX_APPLICATIONS applications.
    """

    def __init__(self, registry: CollectorRegistry, known_types: Collection[tuple[str, str]] = ()) -> None:
        self._known_types = frozenset(known_types)
        self._applications: set[str] = set()
        self._events = Counter(
            "eye_stream_events_total",
            "Raw records judged, by verdict: accepted, rejected, or duplicate of an event judged before.",
            ["application", "verdict"],
            registry=registry,
        )
        self._types = Counter(
            "eye_stream_events_by_type_total",
            "Raw records judged for the first time, by event type; what the catalogue lacks is `other`.",
            ["application", "category", "name"],
            registry=registry,
        )
        self._violations = Counter(
            "eye_stream_violations_total",
            "Rejected events by the code of each rule they broke.",
            ["application", "code"],
            registry=registry,
        )
        self._records = Histogram(
            "eye_stream_chunk_records", "Records of a chunk.", buckets=buckets.RECORDS, registry=registry
        )
        self._seconds = Histogram(
            "eye_stream_chunk_seconds",
            "Time from a chunk to its committed transaction.",
            buckets=buckets.SECONDS,
            registry=registry,
        )
        self._transaction = Histogram(
            "eye_stream_transaction_seconds",
            "Time from a Kafka transaction's beginning to its commit, the writing of its records included.",
            buckets=buckets.SECONDS,
            registry=registry,
        )

    @contextmanager
    def chunk(self, records: int) -> Iterator[None]:
        """Time the work on one chunk."""
        with self._seconds.time():
            yield
        self._records.observe(records)

    def transaction(self) -> AbstractContextManager[object]:
        """Time one Kafka transaction."""
        return self._transaction.time()

    def count(self, verdicts: Sequence[Verdict], duplicates: Iterable[Verdict]) -> None:
        """Count the verdicts of a committed chunk."""
        events = Tally([(v.application, type(v), v.category, v.name) for v in verdicts])
        for (application, kind, category, name), number in events.items():
            who = self._label(application)
            self._events.labels(who, _WORDS[kind]).inc(number)
            known = (category, name) in self._known_types
            self._types.labels(who, category if known else OTHER, name if known else OTHER).inc(number)
        for application, number in Tally([duplicate.application for duplicate in duplicates]).items():
            self._events.labels(self._label(application), "duplicate").inc(number)
        codes = Tally([(v.application, code) for v in verdicts if isinstance(v, Rejected) for code in v.codes])
        for (application, code), number in codes.items():
            self._violations.labels(self._label(application), code).inc(number)

    def _label(self, application: str) -> str:
        if application not in self._applications:
            if len(self._applications) >= MAX_APPLICATIONS:
                return OTHER
            self._applications.add(application)
        return application
