"""The gateway's metrics: their names, units and meanings, each in one place."""

from __future__ import annotations

from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0)
_RECORDS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)


class Metrics:
    """The metrics of one process, in its registry.

    Every label is bounded: by the routes, the statuses, the codes, the applications with a key or token, the issuers.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self.requests = Counter(
            "eye_gateway_requests_total",
            "Requests answered.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.problems = Counter(
            "eye_gateway_problems_total",
            "Requests that were refused or failed, by code.",
            ["code"],
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            "eye_gateway_request_seconds",
            "Time from a request's head to its answer, in seconds.",
            ["route"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.requests_under_way = Gauge(
            "eye_gateway_requests_under_way",
            "Requests with a key that are being answered.",
            registry=self.registry,
        )
        self.bytes_under_way = Gauge(
            "eye_gateway_bytes_under_way",
            "Bytes that their events hold, 2 KiB for each event included.",
            registry=self.registry,
        )
        self.rate_limited = Counter(
            "eye_gateway_rate_limited_total",
            "Requests refused because of a rate limit, by application.",
            ["application"],
            registry=self.registry,
        )
        self.client_dropped = Counter(
            "eye_gateway_client_dropped_total",
            "Events that clients say they dropped before they could send them, by application and reason.",
            ["application", "reason"],
            registry=self.registry,
        )
        self.connections = Gauge(
            "eye_gateway_connections",
            "Open connections of clients.",
            registry=self.registry,
        )
        self.connections_closed = Counter(
            "eye_gateway_connections_closed_total",
            "Connections closed for what their client did, or to make room for another, by reason.",
            ["reason"],
            registry=self.registry,
        )
        self.certificate_end = Gauge(
            "eye_gateway_certificate_end_seconds",
            "Time at which the certificate in use ends, in seconds since 1970; 0 without HTTPS.",
            registry=self.registry,
        )
        self.certificate_faulty = Gauge(
            "eye_gateway_certificate_faulty",
            "1 while the certificate ends within 14 days, or its changed files can't be used; else 0.",
            registry=self.registry,
        )
        self.tokens_refused = Counter(
            "eye_gateway_tokens_refused_total",
            "Requests refused for their access token, by reason.",
            ["reason"],
            registry=self.registry,
        )
        self.issuer_keys = Gauge(
            "eye_gateway_issuer_keys",
            "Keys by which tokens of an issuer are verified.",
            ["issuer"],
            registry=self.registry,
        )
        self.issuer_faulty = Gauge(
            "eye_gateway_issuer_faulty",
            "1 while an issuer's keys can't be read, so that those of before hold, else 0.",
            ["issuer"],
            registry=self.registry,
        )
        self.issuer_fetches = Counter(
            "eye_gateway_issuer_fetches_total",
            "Fetches of an issuer's keys, by outcome: ok or failed.",
            ["issuer", "outcome"],
            registry=self.registry,
        )
        self.events = Counter(
            "eye_gateway_events_total",
            "Events received, by the verdict they were answered with.",
            ["application", "status"],
            registry=self.registry,
        )
        self.event_errors = Counter(
            "eye_gateway_event_errors_total",
            "Violations found at the door, by code.",
            ["application", "code"],
            registry=self.registry,
        )
        self.acknowledge_seconds = Histogram(
            "eye_gateway_acknowledge_seconds",
            "Time from handing a batch to Kafka's client to its acknowledgement, in seconds.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.batch_records = Histogram(
            "eye_gateway_batch_records",
            "Events of each acknowledged batch.",
            buckets=_RECORDS,
            registry=self.registry,
        )
        self.failed_batches = Counter(
            "eye_gateway_failed_batches_total",
            "Batches that Kafka did not take for good; their events went to the spool, or were answered with retry.",
            registry=self.registry,
        )
        self.waiting_bytes = Gauge(
            "eye_gateway_waiting_bytes",
            "Events waiting for their acknowledgement, in bytes.",
            registry=self.registry,
        )
        self.kafka_up = Gauge(
            "eye_gateway_kafka_up",
            "1 when events can be written to Kafka, else 0.",
            registry=self.registry,
        )
        self.kafka_foreign = Gauge(
            "eye_kafka_foreign_cluster",
            "1 while Kafka is another cluster than the one this process belongs to, and is left alone; else 0.",
            registry=self.registry,
        )
        self.spool_records = Gauge(
            "eye_gateway_spool_records",
            "Events in the spool.",
            registry=self.registry,
        )
        self.spool_bytes = Gauge(
            "eye_gateway_spool_bytes",
            "Events in the spool, in bytes.",
            registry=self.registry,
        )
        self.spool_limit_bytes = Gauge(
            "eye_gateway_spool_limit_bytes",
            "Most bytes that the spool takes; 0 when it is off.",
            registry=self.registry,
        )
        self.spool_oldest_seconds = Gauge(
            "eye_gateway_spool_oldest_seconds",
            "Age of the oldest event in the spool, in seconds; 0 when there is none.",
            registry=self.registry,
        )
        self.spooled = Counter(
            "eye_gateway_spooled_total",
            "Events written to the spool.",
            registry=self.registry,
        )
        self.drained = Counter(
            "eye_gateway_drained_total",
            "Events removed from the spool: Kafka has acknowledged them.",
            registry=self.registry,
        )
        self.spool_commit_seconds = Histogram(
            "eye_gateway_spool_commit_seconds",
            "Time of a commit to the spool, its fsync included, in seconds.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.spool_write_errors = Counter(
            "eye_gateway_spool_write_errors_total",
            "Commits to the spool that failed; their events were answered with retry.",
            registry=self.registry,
        )
        self.spool_refused = Gauge(
            "eye_gateway_spool_refused_records",
            "Events of the spool set aside on disk: the topic takes no record of their size.",
            registry=self.registry,
        )
        self.spool_damaged = Gauge(
            "eye_gateway_spool_damaged_records",
            "Records of the spool found damaged since the start; one may stand for all behind it in its file.",
            registry=self.registry,
        )
        self.gc_collections = Counter(
            "eye_gateway_gc_collections_total",
            "Collections of Python's garbage collector, by generation; 2 is a full one.",
            ["generation"],
            registry=self.registry,
        )
        self.gc_seconds = Counter(
            "eye_gateway_gc_seconds_total",
            "Time that these collections took, in seconds; nothing else runs meanwhile.",
            ["generation"],
            registry=self.registry,
        )
        # what every request counts in is looked up once
        self.requests_of = cache(self.requests.labels)
        self.seconds_of = cache(self.request_seconds.labels)
        self.events_of = cache(self.events.labels)
