"""The environment of local servers, and the calls to them that a proxy must not see."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from eye.local import local_http
from eye.local.classpath import cache_directory
from eye.local.environment import drop_foreign_variables, server_environment
from eye.runtime.spans import otlp_spans


@contextmanager
def a_server() -> Iterator[tuple[str, list[str]]]:
    """Lend the address of an HTTP server, and the list of the paths it is asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Note it."""
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"here")

        def do_POST(self) -> None:
            """Note it."""
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()
        thread.join()


def test_local_questions_do_not_go_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with a_server() as (proxy, through_proxy), a_server() as (url, direct):
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy)

        answer = local_http.get(f"{url}/readyz")

    assert answer == (200, b"here")
    assert (direct, through_proxy) == (["/readyz"], [])


def test_spans_for_a_local_collector_avoid_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with a_server() as (proxy, through_proxy), a_server() as (url, direct):
        monkeypatch.setenv("HTTP_PROXY", proxy)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        spans = otlp_spans("gateway")

        with spans.request("/events/", None):
            pass
        spans.flush()
        spans._provider.shutdown()

    assert (direct, through_proxy) == (["/v1/traces"], [])


def test_a_server_sees_no_variables_of_other_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    others = ("PGDATA", "KAFKA_OPTS", "LOG4J_CONFIGURATION_FILE", "JAVA_TOOL_OPTIONS", "PYTHONHOME", "CLASSPATH")
    for name in (*others, "TZ"):
        monkeypatch.setenv(name, "nonsense")

    seen = server_environment()

    assert not {*others} & {*seen}
    assert (seen["TZ"], seen["LC_ALL"]) == ("nonsense", "C.UTF-8")


def test_variables_of_another_database_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGSERVICE", "nonsense")

    drop_foreign_variables()

    assert not [name for name in os.environ if name.startswith("PG")]


def test_without_a_home_the_cache_is_where_we_are_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/proc/nowhere")
    monkeypatch.setattr("sys.prefix", str(tmp_path))

    assert cache_directory() == tmp_path / "cache" / "the-eye"
