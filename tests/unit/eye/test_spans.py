"""Spans: the request's, and of each chunk one that is linked to the requests it came from."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from eye.runtime.processes import _spans
from eye.runtime.spans import OtelSpans
from gateway.problems import BadRequest, Problem, Unavailable
from schemas.settings import Settings, SettingsError
from stream.runner.chunk import Chunk
from stream.runner.work_spans import MAX_LINKS, TracedWork, traced
from tests.support.builders import TRACEPARENT, a_chunk, a_raw_record

TRACE, SPAN = 0x4BF92F3577B34DA6A3CE929D0E0E4736, 0x00F067AA0BA902B7


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    made = InMemorySpanExporter()
    yield made
    made.shutdown()


@pytest.fixture
def spans(exporter: InMemorySpanExporter) -> OtelSpans:
    return OtelSpans("stream", SimpleSpanProcessor(exporter))


def a_parent(number: int) -> bytes:
    return b"00-%032x-%016x-01" % (number + 1, number + 1)


class Work:
    """A partition's work that remembers its chunks, or fails."""

    def __init__(self, *, fails: bool = False) -> None:
        self.chunks: list[Chunk] = []
        self._fails = fails

    async def open(self) -> int:
        return 0

    async def process(self, chunk: Chunk) -> None:
        if self._fails:
            raise OSError("no answer")
        self.chunks.append(chunk)

    async def close(self) -> None:
        """Nothing to let go of."""


async def process(spans: OtelSpans, parents: Sequence[bytes]) -> None:
    records = [a_raw_record(headers=[("traceparent", parent)]) for parent in parents]
    await TracedWork(Work(), spans).process(a_chunk(records))


def only(exporter: InMemorySpanExporter) -> ReadableSpan:
    (span,) = exporter.get_finished_spans()
    return span


def test_a_requests_span_stands_between_the_senders_and_its_events(
    spans: OtelSpans, exporter: InMemorySpanExporter
) -> None:
    with spans.request("/events/", TRACEPARENT.decode()) as traceparent:
        pass

    span = only(exporter)
    assert span.parent is not None
    assert (span.name, span.kind, span.parent.span_id) == ("POST /events/", SpanKind.SERVER, SPAN)
    assert traceparent == f"00-{TRACE:032x}-{span.context.span_id:016x}-01"
    assert span.resource.attributes["service.name"] == "eye-stream"


@pytest.mark.parametrize("sent", [None, "", "nonsense"])
def test_a_request_without_a_context_begins_a_trace(
    sent: str | None, spans: OtelSpans, exporter: InMemorySpanExporter
) -> None:
    with spans.request("/events", sent) as traceparent:
        pass

    assert only(exporter).parent is None
    assert traceparent is not None


async def test_a_chunk_of_one_request_belongs_to_its_trace(spans: OtelSpans, exporter: InMemorySpanExporter) -> None:
    await process(spans, [TRACEPARENT, TRACEPARENT])

    span = only(exporter)
    assert span.parent is not None
    assert (span.name, span.kind) == ("process events.raw", SpanKind.CONSUMER)
    assert (span.parent.trace_id, span.parent.span_id) == (TRACE, SPAN)
    assert span.attributes is not None
    assert span.attributes["messaging.batch.message_count"] == 2


async def test_a_chunk_of_many_requests_is_linked_to_each(spans: OtelSpans, exporter: InMemorySpanExporter) -> None:
    await process(spans, [a_parent(0), b"nonsense", a_parent(1), a_parent(0)])

    span = only(exporter)
    assert span.parent is None
    assert [link.context.trace_id for link in span.links] == [1, 2]


async def test_the_links_of_a_large_chunk_are_bounded(spans: OtelSpans, exporter: InMemorySpanExporter) -> None:
    await process(spans, [a_parent(number) for number in range(1000)])

    assert len(only(exporter).links) == MAX_LINKS


async def test_work_that_fails_is_a_span_that_failed_and_raises(
    spans: OtelSpans, exporter: InMemorySpanExporter
) -> None:
    with pytest.raises(OSError, match="no answer"):
        await TracedWork(Work(fails=True), spans).process(a_chunk([a_raw_record()]))

    assert (only(exporter).status.is_ok, only(exporter).status.description) == (False, "OSError")


@pytest.mark.parametrize(("problem", "is_ours"), [(BadRequest("no JSON"), False), (Unavailable("no Kafka"), True)])
def test_a_request_that_was_refused_is_no_failure_of_ours(
    problem: Problem, is_ours: bool, spans: OtelSpans, exporter: InMemorySpanExporter
) -> None:
    with pytest.raises(Problem), spans.request("/events/", None):
        raise problem

    assert only(exporter).status.is_ok is not is_ours
    assert problem.detail not in str(only(exporter).to_json())


def test_without_spans_the_work_is_the_work_itself() -> None:
    def make_work(topic: str, partition: int) -> Work:
        return Work()

    assert traced(make_work, None) is make_work
    assert _spans("stream", Settings(traces=False)) is None


def test_without_the_extra_a_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "eye.runtime.spans", None)

    with pytest.raises(SettingsError, match=r"pip install 'the-eye\[otel\]'"):
        _spans("stream", Settings(traces=True))
