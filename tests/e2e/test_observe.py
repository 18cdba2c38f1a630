"""Signals of a running pipeline: its metrics, its traces, its logs."""

from __future__ import annotations

import asyncio
import json
import threading
import urllib.request
from collections import defaultdict
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from prometheus_client.parser import text_string_to_metric_families

from eye.operations.wait_until_stored import wait_until_stored
from tests.conftest import KEY, fresh_database, fresh_settings
from tests.observability.promql import names_in
from tests.support.pipeline import SAMPLE, Pipeline, an_event, ndjson, poll
from tests.support.servers import SharedKafka, SharedPostgres

DASHBOARD = Path(__file__).parents[2] / "deploy" / "grafana" / "dashboards" / "eye.json"
TRACE = "0af7651916cd43dd8448eb211c80319c"
SECRET = "nobody-may-log-this"


class Collector:
    """An OTLP/HTTP collector: keeps the spans it is sent, by service."""

    def __init__(self) -> None:
        self.spans: dict[str, list[Span]] = defaultdict(list)
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                request = ExportTraceServiceRequest.FromString(self.rfile.read(int(self.headers["Content-Length"])))
                for resource in request.resource_spans:
                    (name,) = (a.value.string_value for a in resource.resource.attributes if a.key == "service.name")
                    for scope in resource.scope_spans:
                        collector.spans[name].extend(scope.spans)
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def traced(self, trace: str) -> set[tuple[str, str]]:
        """Return service and name of every span that belongs to a trace, or is linked to it."""
        wanted = bytes.fromhex(trace)
        return {
            (service, span.name)
            for service, spans in self.spans.items()
            for span in spans
            if span.trace_id == wanted or any(link.trace_id == wanted for link in span.links)
        }


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    """Lend a collector for the module."""
    made = Collector()
    serving = threading.Thread(target=made.server.serve_forever)
    serving.start()
    yield made
    made.server.shutdown()
    serving.join()
    made.server.server_close()


@pytest.fixture(scope="module")
def pipeline(
    kafka: SharedKafka, postgres: SharedPostgres, collector: Collector, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pipeline]:
    """Lend a pipeline with traces on, after the sample went all the way."""
    with (
        pytest.MonkeyPatch.context() as patch,
        fresh_database(postgres) as dsn,
    ):
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{collector.server.server_address[1]}")
        patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
        settings = fresh_settings(kafka, dsn, tmp_path_factory.mktemp("observed"))
        with Pipeline(settings.model_copy(update={"traces": True})) as running:
            asyncio.run(running.post(SAMPLE.read_bytes(), "application/x-ndjson"))
            asyncio.run(wait_until_stored(settings))
            yield running


def scraped(pipeline: Pipeline) -> set[str]:
    names: set[str] = set()
    for process in pipeline.processes:
        with urllib.request.urlopen(f"{process.url}/metrics") as answer:
            families = list(text_string_to_metric_families(answer.read().decode()))
        names |= {sample.name for family in families for sample in family.samples}
    return names


def test_the_processes_serve_every_metric_that_the_dashboard_shows(pipeline: Pipeline) -> None:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    shown = [target["expr"] for panel in panels for target in panel.get("targets", [])]
    wanted = set().union(*(names_in(expression.replace("$__rate_interval", "1m")) for expression in shown))

    poll(lambda: wanted <= scraped(pipeline), 60, f"{wanted} in /metrics")


async def test_a_post_is_one_trace_through_every_process(pipeline: Pipeline, collector: Collector) -> None:
    sent = an_event(session_id="traced")
    await pipeline.post(ndjson([sent]), traceparent=f"00-{TRACE}-b7ad6b7169203331-01")
    await wait_until_stored(pipeline.settings)

    prefix = pipeline.settings.topic_prefix
    whole = {
        ("eye-gateway", "POST /events/"),
        ("eye-stream", f"process {prefix}events.raw"),
        ("eye-sinks", f"process {prefix}events.validated"),
    }
    poll(lambda: whole <= collector.traced(TRACE), 60, f"{whole} among {collector.traced(TRACE)}")
    _, found = await pipeline.get(f"/events/{sent['event_id']}/trace")
    assert [(trace["status"], trace["trace_id"]) for trace in found["traces"]] == [("stored", TRACE)]


async def test_a_log_line_is_json_and_has_neither_key_nor_payload(pipeline: Pipeline) -> None:
    bad = an_event(session_id="secret", data={"host": SECRET, "colour": SECRET})
    await pipeline.post(json.dumps(bad).encode())
    await wait_until_stored(pipeline.settings)

    text = "".join(process.log.read_text() for process in pipeline.processes)
    lines = [json.loads(line) for line in text.splitlines()]
    assert {"time", "level", "logger", "message"} <= set.intersection(*(set(line) for line in lines))
    assert any("partitions assigned" in line["message"] for line in lines)
    assert SECRET not in text
    assert KEY not in text
