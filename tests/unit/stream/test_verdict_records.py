"""The headers of a verdict: a gateway's are passed on, and what an application states of unknown types decides."""

from __future__ import annotations

import pytest

from schemas.judge import judge
from schemas.record import Record, open_envelope
from schemas.rules import Rules
from schemas.verdict import Accepted
from stream.verdict_records import verdict_record
from tests.support.builders import RECEIVED, a_raw_record, an_event, gateway_headers, the_rules

COMMON = ["event_id", "application", "received_at", "traceparent"]


def headers_of(raw: Record, rules: Rules) -> list[str]:
    _, _, headers = verdict_record(raw, open_envelope(raw), judge(raw, rules), b"events.raw:0:")
    return [name for name, _ in headers]


def test_a_record_that_says_no_more_has_the_common_headers() -> None:
    assert headers_of(a_raw_record(), the_rules()) == [*COMMON, "category", "name", "schema_version", "source"]


@pytest.mark.parametrize(("stated", "setting", "accepted"), [
    ("accept", "reject", True), ("reject", "accept", False), (None, "accept", True), (None, "reject", False),
    ("maybe", "accept", True), ("", "reject", False),
])  # fmt: skip
def test_what_the_application_states_counts_before_the_setting(stated: str, setting: str, accepted: bool) -> None:
    rules, headers = the_rules(unknown_event_types=setting), gateway_headers(unknown_event_types=stated)
    for event in (an_event(name="dance"), an_event(name="dance", timestamp="20210101T091527")):
        assert isinstance(judge(a_raw_record(event, headers=headers), rules), Accepted) == accepted
        foreign = [header for header in headers if header[0] != "traceparent"]
        assert isinstance(judge(a_raw_record(event, headers=foreign), rules), Accepted) == accepted


def test_a_known_type_keeps_its_rules_whatever_is_stated() -> None:
    headers = gateway_headers(unknown_event_types="accept")

    assert not isinstance(judge(a_raw_record(an_event(data={}), headers=headers), the_rules()), Accepted)


def test_what_else_a_record_says_goes_on_with_its_verdict() -> None:
    headers = gateway_headers(sent_at=RECEIVED, unknown_event_types="accept")
    rejected = an_event(name="dance", timestamp="yesterday")

    assert headers_of(a_raw_record(rejected, headers=headers), the_rules()) == [
        *COMMON, "sent_at", "unknown_event_types", "source", "codes",
    ]  # fmt: skip
    foreign = a_raw_record(rejected, headers=[("unknown_event_types", b"accept"), ("sent_at", b"5")])
    assert headers_of(foreign, the_rules()) == [
        *COMMON[:3], "sent_at", "unknown_event_types", "source", "codes",
    ]  # fmt: skip
