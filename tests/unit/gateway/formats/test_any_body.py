"""Bodies of any kind, whatever senders send: each event has a verdict, and none costs its neighbours."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as effort
from hypothesis import strategies as st

from gateway.ingest.formats.format import Format
from gateway.ingest.formats.registry import FORMATS
from gateway.ingest.results import Status
from gateway.problems import Problem
from schemas.event import MAX_TEXT
from schemas.verdict import Accepted, Rejected
from tests.unit.gateway.formats.parts import the_parts, verdict
from tests.unit.gateway.formats.test_posthog import a_capture
from tests.unit.gateway.formats.test_segment import a_track

FIELDS = "context traits name sessionId category $session_id token offset writeKey api_key batch sentAt sent_at"
NAMES = st.sampled_from([*a_track(), *a_capture(), *FIELDS.split()])
TEXTS = st.text(max_size=8) | st.sampled_from(["\0", "\ud800", " ", "x" * 300, "2021-01-01T00:00:00Z", "page", "KEY"])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.sampled_from([2**70, 10**400])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | TEXTS, inner, max_size=5),
    max_leaves=12,
)
DOCUMENTS = st.one_of(
    VALUES.map(lambda value: json.dumps(value).encode()),
    VALUES.map(lambda value: json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")),
    st.integers(1, 3000).map(lambda depth: b"[" * depth + b"]" * depth),
    st.integers(1, 3000).map(lambda depth: b'{"properties":' * depth + b"5" + b"}" * depth),
    st.sampled_from([b'{"properties":{"x":1e999}}', b'{"event":"\xff"}', b'{"context":{"a":-Infinity}}']),
)
BATCHES = [format for format in FORMATS if format.name in ("segment batch", "posthog", "posthog v1")]


@effort(max_examples=300, deadline=None)
@given(st.sampled_from(FORMATS), DOCUMENTS | st.binary(max_size=50), st.sampled_from([b"", b"data=", b'{"batch":']))
def test_any_body_is_read_or_refused(format: Format, document: bytes, before: bytes) -> None:
    for path in {call.paths[0] for call in format.calls}:
        parts = the_parts(before + document, path)
        try:
            items = format.read(parts).items()
        except Problem as problem:
            assert problem.status < 500
            assert problem.detail
            continue
        for item in items:
            assert (item.status is Status.OK) == (not item.errors)
            assert isinstance(verdict(item), Accepted | Rejected)


@pytest.mark.parametrize("format", BATCHES, ids=lambda format: str(format.name))
@effort(max_examples=200, deadline=None)
@given(documents=st.lists(DOCUMENTS, max_size=4))
def test_no_event_costs_its_neighbours(format: Format, documents: list[bytes]) -> None:
    good = json.dumps(a_track() | a_capture()).encode()
    body = b'{"batch":[%b]}' % b",".join([good, *documents, good])

    items = format.read(the_parts(body)).items()

    assert len(items) == len(documents) + 2
    assert isinstance(verdict(items[0]), Accepted)
    assert isinstance(verdict(items[-1]), Accepted)
    for item in items:
        if item.status is Status.OK:
            assert item.session_id
            assert 1 <= len(item.session_id) <= MAX_TEXT
            assert not isinstance(verdict(item), Rejected) or "record's key" not in str(errors(item))


def errors(item: Any) -> list[str]:
    found = verdict(item)
    return [error.message for error in found.errors] if isinstance(found, Rejected) else []
