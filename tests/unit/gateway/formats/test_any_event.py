"""Any event of a tracker, a CloudEvent or a log record has a verdict, and costs its neighbours nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from gateway.ingest.event_reader import Item
from gateway.ingest.formats import cloudevents, otlp, snowplow
from gateway.ingest.results import Status
from gateway.problems import Problem
from schemas.verdict import Accepted, Rejected
from tests.unit.gateway.formats.parts import the_parts, verdict
from tests.unit.gateway.formats.test_any_body import DOCUMENTS, SCALARS, TEXTS
from tests.unit.gateway.formats.test_cloudevents import an_event
from tests.unit.gateway.formats.test_otlp import PROTOBUF, a_record
from tests.unit.gateway.formats.test_snowplow import a_payload

Read = Callable[[bytes], list[Item]]


def of_snowplow(body: bytes) -> list[Item]:
    return snowplow.read_post(the_parts(b'{"data":%b}' % body, "/")).items()


def of_cloudevents(body: bytes) -> list[Item]:
    return cloudevents.read(the_parts(body, "/events/")).items()


def of_otlp(body: bytes) -> list[Item]:
    request = b'{"resourceLogs":[{"scopeLogs":[{"logRecords":%b}]}]}' % body
    return otlp.read(the_parts(request, "/v1/logs", headers={"Content-Type": "application/json"})).items()


def of(read: Read, names: list[str], good: dict[str, Any]) -> Any:
    """Return a reader with a strategy of its events, as JSON, and a good one."""
    values = st.recursive(
        SCALARS | st.sampled_from(["se", "ue", "pv", "eyJhIjoxfQ", '{"data":{"schema":"iglu:a/b/c/d","data":[]}}']),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(names) | TEXTS, inner, max_size=6),
        max_leaves=12,
    )
    whole = values.map(lambda value: json.dumps(value).encode())
    changed = st.dictionaries(st.sampled_from(names), values).map(lambda value: json.dumps(good | value).encode())
    return read, whole | changed | DOCUMENTS, json.dumps(good).encode()


OF_SNOWPLOW = [*a_payload(), "sid", "uid", "ttm", "stm", "ue_pr", "ue_px", "co", "cx", "schema", "data"]
OF_CLOUDEVENTS = [*an_event(), "data_base64", "subject", "datacontenttype"]
OF_OTLP = [*a_record(), "body", "traceId", "key", "value", "values", "stringValue", "intValue", "arrayValue"]
KINDS = {
    "snowplow": of(of_snowplow, OF_SNOWPLOW, a_payload()),
    "cloudevents": of(of_cloudevents, OF_CLOUDEVENTS, an_event()),
    "otlp": of(of_otlp, OF_OTLP, a_record()),
}


@pytest.mark.parametrize("kind", KINDS)
def test_any_event_has_a_verdict_and_costs_itself_alone(kind: str) -> None:
    read, events, good = KINDS[kind]

    @effort(max_examples=300, deadline=None)
    @given(events)
    def holds(event: bytes) -> None:
        try:
            items = read(b"[%b,%b,%b]" % (good, event, good))
        except Problem as problem:
            assert problem.status == 400  # an event that is no JSON breaks the request's
            return
        assert [items[0].errors, items[-1].errors] == [[], []]
        for item in items:
            assert (item.status is Status.OK) == (not item.errors)
            assert item.errors or isinstance(verdict(item), Accepted | Rejected)

    holds()


@effort(max_examples=500, deadline=None)
@given(st.binary(max_size=80), st.sampled_from([b"", b"\x0a\x0a\x12\x08\x12\x06", b"\x0a\x06\x12\x04\x12\x02"]))
def test_any_bytes_are_a_request_of_protobuf_or_none(body: bytes, before: bytes) -> None:
    try:
        items = otlp.read(the_parts(before + body, "/v1/logs", headers=PROTOBUF)).items()
    except Problem as problem:
        assert problem.status == 400
        return
    for item in items:
        assert item.errors or isinstance(verdict(item), Accepted | Rejected)


@effort(max_examples=200, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["id", "type", "subject", "time", "sessionid", "specversion"]), st.text(max_size=8)
    ),
    st.binary(max_size=30),
    st.sampled_from([None, "application/json", "text/plain", "image/png", "\udcff"]),
)
def test_any_event_in_headers_has_a_verdict(attributes: dict[str, str], body: bytes, content_type: str | None) -> None:
    headers = {"ce-specversion": "1.0"} | {f"ce-{name}": value for name, value in attributes.items()}
    parts = the_parts(body, "/events/", headers=headers | ({"Content-Type": content_type} if content_type else {}))

    (item,) = cloudevents.read(parts).items()

    assert item.errors or isinstance(verdict(item), Accepted | Rejected)
