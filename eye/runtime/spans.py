"""Spans by OpenTelemetry, sent by OTLP over HTTP as the OTEL_ variables say. Needs the extra `otel`."""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from urllib.parse import urlsplit

from opentelemetry.context import Context
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.trace import Link, SpanKind, Status, StatusCode, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from schemas.record import TRACEPARENT
from schemas.spans import Spans

FLUSH_SECONDS = 1.0
"""Seconds that a process waits at its end for the last spans to be sent."""

_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")

_propagator = TraceContextTextMapPropagator()


class OtelSpans(Spans):
    """The spans of one process; `component` is gateway, stream or sinks, and `eye-` before it the service's name."""

    def __init__(self, component: str, processor: SpanProcessor) -> None:
        name = os.environ.get("OTEL_SERVICE_NAME") or f"eye-{component}"
        resource = Resource.create({SERVICE_NAME: name, SERVICE_VERSION: version("the-eye")})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("the-eye")

    @contextmanager
    def request(self, route: str, traceparent: str | None) -> Iterator[str | None]:
        """Enclose a request; its span has failed when the handler raises what is ours."""
        span = self._tracer.start_as_current_span(
            f"POST {route}",
            context=_context(traceparent),
            kind=SpanKind.SERVER,
            attributes={"http.request.method": "POST", "http.route": route},
            record_exception=False,
            set_status_on_exception=False,
        )
        with span, _failing():
            carrier: dict[str, str] = {}
            _propagator.inject(carrier)
            yield carrier.get(TRACEPARENT)

    @contextmanager
    def chunk(
        self, topic: str, partition: int, first_offset: int, records: int, traceparents: Collection[str]
    ) -> Iterator[None]:
        """Enclose the work on a chunk; its span has failed when the work raises."""
        contexts = [_context(traceparent) for traceparent in traceparents]
        links = [Link(get_current_span(context).get_span_context()) for context in contexts]
        span = self._tracer.start_as_current_span(
            f"process {topic}",
            context=contexts[0] if len(contexts) == 1 else Context(),
            kind=SpanKind.CONSUMER,
            links=[link for link in links if link.context.is_valid],
            attributes={
                "messaging.system": "kafka",
                "messaging.operation.type": "process",
                "messaging.destination.name": topic,
                "messaging.destination.partition.id": str(partition),
                "messaging.kafka.offset": first_offset,
                "messaging.batch.message_count": records,
            },
            record_exception=False,
            set_status_on_exception=False,
        )
        with span, _failing():
            yield

    def flush(self) -> None:
        """Send the last spans, without waiting for a collector that does not answer."""
        flushing = threading.Thread(target=self._provider.force_flush, daemon=True)
        flushing.start()
        flushing.join(FLUSH_SECONDS)


def otlp_spans(component: str) -> OtelSpans:
    """Return spans that are sent to the collector that the OTEL_EXPORTER_OTLP_ variables name."""
    import requests
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    session = requests.Session()
    session.trust_env = not _collector_is_local()  # a proxy does not reach a collector of this machine
    return OtelSpans(component, BatchSpanProcessor(OTLPSpanExporter(session=session)))


def _collector_is_local() -> bool:
    names = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
    endpoint = next(filter(None, map(os.environ.get, names)), "http://localhost:4318")
    return urlsplit(endpoint).hostname in _THIS_MACHINE


@contextmanager
def _failing() -> Iterator[None]:
    """Let what is raised make the current span a failed one, unless it is the sender's fault.

    The span has the exception's type alone: a message could quote what was sent.
    """
    try:
        yield
    except Exception as error:
        if getattr(error, "status", 500) >= 500:
            get_current_span().set_status(Status(StatusCode.ERROR, type(error).__name__))
        raise


def _context(traceparent: str | None) -> Context:
    """Return the context that a traceparent tells of; an empty one where it tells of none."""
    return _propagator.extract({TRACEPARENT: traceparent} if traceparent else {}, context=Context())
