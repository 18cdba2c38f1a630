"""The counts that `eye up` shows: read from the processes' own metrics, by names that they really have."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

from faust.types import TP
from prometheus_client import CollectorRegistry, generate_latest

from eye.local.display.counts import Counts, CountsReader
from gateway.metrics import Metrics
from sinks.metrics import SinkMetrics
from stream.metrics import StreamMetrics
from stream.runner.partitions import PartitionStatus
from stream.runner.status import PartitionCollector
from tests.support.builders import a_rejected, an_accepted

NOBODY = "http://127.0.0.1:1"


@contextmanager
def serving(*registries: CollectorRegistry) -> Iterator[list[str]]:
    """Serve the metrics of each registry; gives their addresses."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(generate_latest(registries[int(self.path.split("/")[1])]))

        def log_message(self, format: str, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield [f"http://127.0.0.1:{server.server_port}/{number}" for number in range(len(registries))]
        server.shutdown()
        thread.join()


def a_stack(*urls: str) -> Any:
    return SimpleNamespace(components=[SimpleNamespace(url=url, context=None) for url in urls])


def a_worker(lag: int) -> CollectorRegistry:
    registry = CollectorRegistry()
    owned = {TP("t", partition): PartitionStatus(position=0) for partition in range(2)}
    registry.register(PartitionCollector(lambda: owned, lambda tp, position: lag))
    return registry


def test_the_counts_are_those_of_the_processes() -> None:
    gateway, stream, sinks = Metrics(), a_worker(lag=3), a_worker(lag=10)
    for application, status, number in [("shop", "ok", 5), ("blog", "ok", 2), ("shop", "invalid", 100)]:
        gateway.events.labels(application, status).inc(number)
    StreamMetrics(stream).count([an_accepted()] * 4 + [a_rejected()] * 2, [an_accepted()])
    gateway.spool_records.set(5)
    stored = SinkMetrics(sinks)
    for table, rows in [("events", 3), ("rejected_events", 1), ("sessions", 100)]:
        stored.count(table, records=2 * rows, rows=rows, refused=0)

    with serving(gateway.registry, stream, sinks) as urls:
        counts = CountsReader(a_stack(*urls)).read()

    assert counts == Counts(received=7, validated=4, rejected=2, duplicates=1, stored=4, lag=31, spooled=5)


def test_what_does_not_answer_counts_as_nothing() -> None:
    assert CountsReader(a_stack(NOBODY, NOBODY, NOBODY)).read() == Counts(0, 0, 0, 0, 0, 0)


def test_counts_are_a_line_for_people() -> None:
    line = str(Counts(received=12_345, validated=1, rejected=2, duplicates=3, stored=4, lag=5))

    assert line == "received 12,345   validated 1   rejected 2   duplicates 3   stored 4   lag 5"


def test_the_line_says_what_is_spooled() -> None:
    assert str(Counts(0, 0, 0, 0, 0, lag=7, spooled=7)).endswith("lag 7   spooled 7")


def test_the_totals_go_on_when_a_process_is_started_again() -> None:
    before, after = Metrics(), Metrics()
    before.events.labels("shop", "ok").inc(10)
    after.events.labels("shop", "ok").inc(3)

    with serving(before.registry, after.registry) as (old, new):
        stack = a_stack(old, NOBODY, NOBODY)
        reader = CountsReader(stack)
        seen = []
        for url in (old, NOBODY, new, new):
            stack.components[0].url = url
            seen.append(reader.read().received)

    assert seen == [10, 10, 13, 13]
