"""The clock of a request: `sent_at` beside its events, read by either reader, and never a reason to refuse them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gateway.ingest.event_reader import ParsedBody, Reader
from gateway.ingest.results import OK

READER = Reader(max_events=10, max_event_bytes=1000)
SENT_AT_MS = 1_609_492_530_250


def wrapped(sent_at: Any, event: str = '{"session_id": "s"}') -> bytes:
    return b'{"events": [%b], "sent_at": %b}' % (event.encode(), json.dumps(sent_at).encode())


def by_both_readers(body: bytes) -> tuple[ParsedBody | None, ParsedBody]:
    """Read a body as it is, and with a number in it that only the tolerant reader takes."""
    return READER.read_fast(body), READER.read(body.replace(b'"s"', b'"s", "n": NaN'))


@pytest.mark.parametrize("text", ["2021-01-01T09:15:30.250Z", "2021-01-01 09:15:30.25", "20210101T101530.25+0100"])
def test_the_time_beside_the_events_is_the_requests(text: str) -> None:
    fast, tolerant = by_both_readers(wrapped(text))

    assert fast is not None
    assert (fast.sent_at, tolerant.sent_at, READER.read(wrapped(text)).sent_at) == (SENT_AT_MS,) * 3


@pytest.mark.parametrize("text", ["soon", "", 5, 1.5, None, True, [], {"a": "2021-01-01T09:15:30Z"}, "\ud800", "\0"])
def test_a_time_that_can_not_be_read_is_as_none(text: Any) -> None:
    fast, tolerant = by_both_readers(wrapped(text))

    for parsed in (fast, tolerant):
        assert parsed is None or (parsed.sent_at, [item.status for item in parsed.items]) == (None, [OK])


def test_a_clock_of_before_1970_is_read_too() -> None:
    assert READER.read(wrapped("1969-12-31T22:00:00Z")).sent_at == -7_200_000


@pytest.mark.parametrize(
    "body", [b'[{"session_id": "s"}]', b'{"session_id": "s", "sent_at": "2021-01-01T09:15:30Z"}', b'{"events": []}']
)
def test_only_a_list_in_an_object_has_a_time_beside_it(body: bytes) -> None:
    assert READER.read(body).sent_at is None
