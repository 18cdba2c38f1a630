"""The stream counts each record once, by its application and its verdict."""

from __future__ import annotations

import pytest
from prometheus_client import CollectorRegistry

from schemas.verdict import Code, Violation
from stream.metrics import MAX_APPLICATIONS, OTHER, StreamMetrics
from tests.support.builders import a_rejected, an_accepted

PAGEVIEWS = ("page interaction", "pageview")


def value(registry: CollectorRegistry, name: str, /, **labels: str) -> float | None:
    return registry.get_sample_value(name, labels)


def test_records_are_counted_by_application_and_verdict() -> None:
    registry = CollectorRegistry()

    StreamMetrics(registry).count(
        [an_accepted(), an_accepted(application="blog"), a_rejected()], [an_accepted(), an_accepted()]
    )

    counted = {
        (application, verdict): value(registry, "eye_stream_events_total", application=application, verdict=verdict)
        for application in ("shop", "blog")
        for verdict in ("accepted", "rejected", "duplicate")
    }
    assert counted == {
        ("shop", "accepted"): 1, ("shop", "rejected"): 1, ("shop", "duplicate"): 2,
        ("blog", "accepted"): 1, ("blog", "rejected"): None, ("blog", "duplicate"): None,
    }  # fmt: skip


def test_events_are_counted_by_type_and_what_nobody_knows_is_other() -> None:
    registry = CollectorRegistry()
    metrics = StreamMetrics(registry, [PAGEVIEWS])

    metrics.count([an_accepted(), an_accepted(category="made", name="up"), a_rejected()], [])

    category, name = PAGEVIEWS
    types = "eye_stream_events_by_type_total"
    assert value(registry, types, application="shop", category=category, name=name) == 1
    assert value(registry, types, application="shop", category=OTHER, name=OTHER) == 2


def test_labels_are_bounded_to_a_thousand_applications() -> None:
    registry = CollectorRegistry()
    metrics = StreamMetrics(registry)

    metrics.count([an_accepted(application=f"made-up-{number}") for number in range(MAX_APPLICATIONS + 5)], [])
    metrics.count([an_accepted(application="made-up-0")], [])

    events = "eye_stream_events_total"
    assert value(registry, events, application="made-up-0", verdict="accepted") == 2
    assert value(registry, events, application=OTHER, verdict="accepted") == 5


def test_a_code_counts_once_for_each_event() -> None:
    registry = CollectorRegistry()
    errors = [Violation(Code.MISSING_FIELD, path, "") for path in ("$.a", "$.b")]

    StreamMetrics(registry).count([a_rejected(errors=errors), a_rejected(errors=errors)], [])

    assert value(registry, "eye_stream_violations_total", application="shop", code="missing_field") == 2


def test_a_chunk_that_failed_is_no_chunk_that_was_committed() -> None:
    registry = CollectorRegistry()
    metrics = StreamMetrics(registry)

    with metrics.chunk(3):
        pass
    with pytest.raises(OSError, match="no answer"), metrics.chunk(3):
        raise OSError("no answer")

    assert value(registry, "eye_stream_chunk_records_count") == 1
