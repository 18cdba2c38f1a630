"""Operation: keys, health, metrics, documents, and the life of the process."""

from __future__ import annotations

import asyncio
import base64
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import ClientSession, ServerDisconnectedError
from prometheus_client.parser import text_string_to_metric_families

from gateway.access.api_keys import CHECK_SECONDS
from gateway.app import build_app
from gateway.ingest.formats.registry import FORMATS
from gateway.problems import ProblemCode
from schemas.settings import Settings, SettingsError
from tests.conftest import KEY
from tests.integration.gateway.test_json_builders import AUTHORIZED, a_gateway, an_event, eventually, is_ready, post
from tests.support.stopwatch import Stopwatch

OPEN = ["/healthz", "/readyz", "/metrics", "/openapi.json", "/docs"]
GUARDED = ["/events", "/events/x", "/sessions", "/sessions/x", "/sessions/x/events", "/errors", "/errors/summary"]


def write_keys(settings: Settings, *entries: tuple[str, str, str]) -> None:
    """Write applications.toml with (application, SHA-256 of the key, scopes)."""
    lines = [
        f'[[applications]]\nid = "{application}"\nkeys = [{{ sha256 = "{digest}", scopes = [{scopes}] }}]\n'
        for application, digest, scopes in entries
    ]
    settings.applications_file.write_text("".join(lines))


SHA256_OF_READER = "3d0941964aa3ebdcb00ccef58b1bb399f9f898465e9886d5aec7f31090a0fb30"


@asynccontextmanager
async def anonymous(client: ClientSession) -> AsyncIterator[ClientSession]:
    """Lend a client without a key of the same gateway."""
    async with ClientSession(client._base_url) as made:
        yield made


async def test_without_a_key_only_the_open_paths_answer(settings: Settings) -> None:
    async with a_gateway(settings) as client, anonymous(client) as stranger:
        for path in OPEN:
            async with stranger.get(path) as answer:
                assert answer.status == 200
        for path in [*GUARDED, "/schemas", "/schemas/a/b"]:
            async with stranger.get(path) as answer:
                assert (answer.status, (await answer.json())["code"]) == (401, "unauthorized")
                assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        for path in ("/events", "/events/", "/events/validate"):
            async with stranger.post(path, data=b"no json", headers={"X-API-Key": "wrong"}) as answer:
                assert (answer.status, (await answer.json())["code"]) == (401, "unauthorized")


async def test_a_key_is_taken_in_each_of_its_forms(settings: Settings) -> None:
    forms = [
        {"Authorization": f"Bearer {KEY}"},
        {"X-API-Key": KEY},
        {"Authorization": f"Basic {base64.b64encode(f'{KEY}:'.encode()).decode()}"},
    ]

    async with a_gateway(settings) as client, anonymous(client) as stranger:
        for headers in forms:
            async with stranger.post("/events", json=an_event(), headers=headers) as answer:
                assert answer.status == 202


async def test_a_key_without_the_scope_is_told_so(settings: Settings) -> None:
    write_keys(settings, ("shop", SHA256_OF_READER, '"read"'))

    async with a_gateway(settings) as client, anonymous(client) as stranger:
        key = {"X-API-Key": "reader"}
        async with stranger.post("/events", json=an_event(), headers=key) as answer:
            assert (answer.status, (await answer.json())["code"]) == (403, "forbidden")
        async with stranger.post("/events/validate", json=an_event(), headers=key) as answer:
            assert answer.status == 200
        for path in ("/events", "/schemas"):
            async with stranger.get(path, headers=key) as answer:
                assert answer.status == 200


async def test_a_new_key_holds_without_a_restart(settings: Settings) -> None:
    async with a_gateway(settings) as client:
        assert (await post(client, an_event()))[0] == 202
        write_keys(settings, ("shop", SHA256_OF_READER, '"write"'))

        async def is_locked_out() -> bool:
            return (await post(client, an_event()))[0] == 401

        watch = Stopwatch()
        await eventually(is_locked_out)
        assert watch.seconds < CHECK_SECONDS + 1
        assert (await post(client, an_event(), Authorization="Bearer reader"))[0] == 202


async def test_without_keys_the_gateway_is_not_ready_and_says_what_to_do(settings: Settings) -> None:
    settings.applications_file.unlink()

    async with a_gateway(settings, until_ready=False) as client:
        async with client.get("/readyz") as answer:
            reasons = (await answer.json())["reasons"]
        assert (await post(client, an_event()))[0] == 401

    assert answer.status == 503
    assert any("eye keys add" in reason for reason in reasons)


async def test_metrics_count_what_was_answered(settings: Settings) -> None:
    async with a_gateway(settings) as client:
        await post(client, [an_event(), an_event(), 5])
        await post(client, b"no json")
        async with client.get("/metrics") as answer:
            text = await answer.text()

    samples = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert samples["eye_gateway_events_total", "ok", "shop"] == 2
    assert samples["eye_gateway_events_total", "invalid", "shop"] == 1
    assert samples["eye_gateway_event_errors_total", "not_an_object", "shop"] == 1
    assert samples["eye_gateway_requests_total", "/events/", "202", "POST"] == 1
    assert samples["eye_gateway_requests_total", "/events/", "400", "POST"] == 1
    assert samples["eye_gateway_problems_total", "not_json"] == 1
    assert samples["eye_gateway_kafka_up",] == 1
    assert samples["eye_gateway_waiting_bytes",] == 0
    assert samples["eye_gateway_batch_records_sum",] == 2


async def test_the_openapi_document_has_every_route_code_and_limit(settings: Settings) -> None:
    async with a_gateway(settings) as client, client.get("/openapi.json") as answer:
        document = await answer.json()

    described = {(method.upper(), path) for path, calls in document["paths"].items() for method in calls}
    aliases = {path for format in FORMATS for call in format.calls for path in call.paths[1:]}
    routes = {
        (route.method, route.resource.canonical)
        for route in build_app(settings).router.routes()
        if route.resource is not None and route.method != "HEAD"
    }
    assert described == {(method, path) for method, path in routes if path not in {*aliases, "/events/"}}
    assert document["openapi"].startswith("3.1")
    assert document["x-limits"] == {"max_event_bytes": 65536, "max_request_bytes": 5242880, "max_request_events": 5000}
    assert set(document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"]) == set(ProblemCode)
    references = set(re.findall(r'"#/components/schemas/(\w+)"', await answer.text()))
    assert references <= document["components"]["schemas"].keys()


async def test_the_page_shows_the_document_and_fetches_nothing_else(settings: Settings) -> None:
    async with a_gateway(settings) as client:
        async with client.get("/docs") as answer:
            page = await answer.text()
        files = re.findall(r'(?:src|href)="([^"]*)"', page)
        answers = {file: await _body(client, f"/{file}") for file in files}

    assert answer.content_type == "text/html"
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert "http" not in page.replace("HTTP", "")
    assert {status for status, _ in answers.values()} == {200}
    assert b"SwaggerUIBundle" in answers["docs/swagger-ui-bundle.js"][1]
    assert b'url: "openapi.json"' in answers["docs/page.js"][1]


async def test_the_page_has_no_other_files(settings: Settings) -> None:
    async with a_gateway(settings) as client:
        for name in ("index.html", "..%2f..%2fpyproject.toml", "swagger-editor.js", "LICENSE"):
            assert (await _body(client, f"/docs/{name}"))[0] == 404


async def _body(client: ClientSession, path: str) -> tuple[int, bytes]:
    async with client.get(path) as answer:
        return answer.status, await answer.read()


async def test_two_gateways_share_a_port(settings: Settings) -> None:
    async with a_gateway(settings) as client:
        port = client._base_url.port  # type: ignore[union-attr]
        async with a_gateway(settings.model_copy(update={"gateway_port": port})) as other:
            assert other._base_url == client._base_url
            assert (await post(other, an_event()))[0] == 202


async def test_an_event_limit_above_kafkas_is_refused_at_the_start(settings: Settings) -> None:
    with pytest.raises(SettingsError, match="EYE_MAX_EVENT_BYTES"):
        build_app(settings.model_copy(update={"max_event_bytes": 1_000_000}))


PROGRAM = "from gateway.server import run; from schemas.settings import Settings; run(Settings(), ready=print)"


@asynccontextmanager
async def a_process(settings: Settings) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """Lend a gateway in a process of its own; gives it and its address."""
    environment = {
        "PYTHONUNBUFFERED": "1",
        "EYE_KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers or "",
        "EYE_POSTGRES_DSN": settings.dsn,
        "EYE_TOPIC_PREFIX": settings.topic_prefix,
        "EYE_DATA_DIR": str(settings.data_dir),
        "EYE_GATEWAY_PORT": "0",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, env=os.environ | environment, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(60):
            yield process, (await process.stdout.readline()).decode().strip()
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        process._transport.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_stops_the_gateway_in_good_order(settings: Settings, number: signal.Signals) -> None:
    async with a_process(settings) as (process, address), ClientSession(address, headers=AUTHORIZED) as client:
        await eventually(lambda: is_ready(client))
        host, port = address.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        # a request that is half sent when the signal comes is still answered
        head = f"POST /events HTTP/1.1\r\nHost: x\r\nX-API-Key: {KEY}\r\nContent-Length: 19\r\n\r\n"
        writer.write(head.encode() + b'{"session_id"')
        await writer.drain()
        await post(client, an_event())

        process.send_signal(number)
        await eventually(lambda: refuses(client))
        writer.write(b': "s"}')
        await writer.drain()

        assert (await reader.readline()).startswith(b"HTTP/1.1 202")
        async with asyncio.timeout(60):
            assert await process.wait() == 0
        writer.close()


async def refuses(client: ClientSession) -> bool:
    """Tell whether the gateway takes no more connections, or says that it is unready."""
    try:
        return not await is_ready(client)
    except (ServerDisconnectedError, OSError):
        return True
