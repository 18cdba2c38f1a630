"""The gateway against whatever its own description allows, and whatever it does not: answers as described, no 500."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from gateway.ingest.event_reader import Reader
from gateway.ingest.formats.registry import FORMATS
from gateway.routes.openapi import openapi
from schemas.judge import judge
from schemas.settings import Settings
from schemas.verdict import Accepted
from tests.conftest import KEY
from tests.support.builders import a_raw_record, an_event
from tests.support.pipeline import EyeProcess, poll

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
FORMAT_PATHS = [call.paths[0] for format in FORMATS for call in format.calls if call.method == "POST"]
EXAMPLES = int(os.environ.get("EYE_FUZZ_EXAMPLES", "20"))
AUTHORIZED = {"X-API-Key": KEY}


@pytest.fixture(scope="module")
def gateway(shared_settings: Settings) -> Iterator[EyeProcess]:
    process = EyeProcess("gateway", 0, shared_settings, shared_settings.data_dir / "logs")
    process.start()
    try:
        poll(process.is_ready, 60, "the gateway is ready")
        yield process
        assert process.running
        assert "Traceback" not in process.log.read_text()
    finally:
        process.stop(15)


@pytest.fixture(scope="module")
def described(gateway: EyeProcess) -> Any:
    """Return the gateway's own description of itself."""
    return schemathesis.openapi.from_url(f"{gateway.url}/openapi.json")


OPERATIONS = [
    (path, method, mode)
    for path, calls in openapi(Settings(), Settings().rules().catalogue)["paths"].items()
    for method, call in calls.items()
    for mode in GenerationMode
    if mode.is_positive or call["parameters"] or "requestBody" in call  # else there is nothing to get wrong
]


@pytest.mark.parametrize(("path", "method", "mode"), OPERATIONS)
def test_every_call_answers_as_described(described: Any, path: str, method: str, mode: GenerationMode) -> None:
    operation = described[path][method]

    @effort(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(operation.as_strategy(generation_mode=mode), st.sampled_from([AUTHORIZED] * 9 + [{}]))
    def holds(case: Any, headers: dict[str, str]) -> None:
        case.call_and_validate(headers=headers, checks=CHECKS)

    holds()


sendable = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
fields = st.sampled_from([*an_event(), "event_id", "schema_version", "more"])
lines = st.one_of(
    st.binary(min_size=1, max_size=60),
    sendable.map(lambda value: json.dumps(value).encode()),
    st.dictionaries(fields, sendable, max_size=2).map(lambda changes: json.dumps(an_event(**changes)).encode()),
    st.tuples(st.integers(0, 200), st.binary(max_size=3)).map(lambda damage: damaged(*damage)),
)


def a_line(value: bytes) -> bytes:
    return value.replace(b"\n", b" ").strip(b" \t\r\n")


def damaged(at: int, replacement: bytes) -> bytes:
    sent = json.dumps(an_event()).encode()
    return sent[:at] + replacement + sent[at + 1 :]


@effort(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(lines.map(lambda line: line.replace(b"\n", b" ").strip(b" \t\r\n")).filter(bool), min_size=1, max_size=40)
)
def test_what_is_validated_is_judged_as_the_stream_will(
    gateway: EyeProcess, shared_settings: Settings, sent: list[bytes]
) -> None:
    headers = AUTHORIZED | {"Content-Type": "application/x-ndjson"}
    url = f"{gateway.url}/events/validate"
    parsed = Reader(max_events=5000, max_event_bytes=65536).read_lines(b"\n".join(sent))
    rules, now = shared_settings.rules(), datetime.now(UTC)

    with requests.post(url, data=b"\n".join(sent), headers=headers, timeout=60) as answer:
        results = answer.json()["results"]

    assert answer.status_code == 200
    assert len(results) == len(sent)
    for result, item in zip(results, parsed.items, strict=True):
        verdict = judge(a_raw_record(value=item.value, key=(item.session_id or "").encode(), received_at=now), rules)
        assert (result["status"] == "ok") == isinstance(verdict, Accepted)
        errors = [] if isinstance(verdict, Accepted) else msgspec.to_builtins(verdict.errors)
        assert result.get("errors", []) == errors


@effort(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(
    st.binary(max_size=200),
    st.sampled_from(["application/json", "application/x-ndjson", "text/plain", "", "text/html", "\xff"]),
    st.sampled_from(["", "gzip", "deflate", "zstd", "br"]),
    st.sampled_from(["/events", "/events/", "/events/validate", *FORMAT_PATHS]),
)
def test_any_body_gets_an_answer_that_is_described(
    gateway: EyeProcess, body: bytes, content_type: str, encoding: str, path: str
) -> None:
    headers = AUTHORIZED | {"Content-Type": content_type, "Content-Encoding": encoding}

    with requests.post(f"{gateway.url}{path}", data=body, headers=headers, timeout=60) as answer:
        assert answer.status_code in (200, 202, 400, 413, 415, 422)
        assert answer.json()
