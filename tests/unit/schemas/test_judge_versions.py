"""Judging by type, version and time: unknown types, named versions, ages of timestamps."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schemas.catalogue import Catalogue, EventType
from schemas.ids import source_id
from schemas.judge import judge
from schemas.payload import Payload
from schemas.rules import Rules
from schemas.verdict import Accepted, Code, Rejected, Verdict, decode_accepted, decode_rejected, encode
from tests.support.builders import RECEIVED, a_raw_record, an_event, the_rules
from tests.unit.schemas.judging import ANY_TYPE, RULES, a_payload, broken, judge_event


def test_how_far_ahead_and_behind_a_timestamp_may_be_is_a_setting() -> None:
    rules = the_rules(max_future_seconds=5.0, max_age_seconds=10.0)

    def judged(seconds: float) -> Verdict:
        return judge_event(an_event(timestamp=(RECEIVED + timedelta(seconds=seconds)).isoformat()), rules)

    assert [type(judged(seconds)) for seconds in (5, -10)] == [Accepted, Accepted]
    assert broken(judged(5.000001)) == [("future_timestamp", "$.timestamp")]
    assert broken(judged(-10.000001)) == [("too_old", "$.timestamp")]


def test_any_age_is_accepted_by_default() -> None:
    assert isinstance(judge_event(an_event(timestamp="0001-01-01T00:00:00Z")), Accepted)


def test_a_foreign_record_is_judged_by_its_offset_and_timestamp() -> None:
    accepted = judge(a_raw_record(headers=[], offset=7), RULES)

    assert isinstance(accepted, Accepted)
    assert accepted.event_id == source_id("events.raw:0:7")
    assert accepted.application == "unknown"
    assert accepted.received_at == RECEIVED


def test_an_unknown_type_is_accepted_where_the_settings_say_so() -> None:
    event = an_event(category="dance", name="step", data={"anything": [1, None]}, schema_version=3)

    accepted = judge_event(event, ANY_TYPE)

    assert isinstance(accepted, Accepted)
    assert (accepted.category, accepted.name, accepted.schema_version) == ("dance", "step", 3)
    assert json.loads(bytes(accepted.data)) == {"anything": [1, None]}


def test_a_known_type_keeps_its_rules_where_unknown_ones_are_accepted() -> None:
    assert broken(judge_event(a_payload(host=5), ANY_TYPE)) == [("wrong_type", "$.data.host")]
    assert broken(judge_event(an_event(data=[], name="dance"), ANY_TYPE)) == [("wrong_type", "$.data")]


@pytest.mark.parametrize("version", [2**31, 2**70])
def test_an_unknown_types_version_must_fit_its_column(version: int) -> None:
    event = an_event(name="dance", schema_version=version)

    assert broken(judge_event(event, ANY_TYPE)) == [("bad_value", "$.schema_version")]


class Moody(Payload, category="test", name="moody"):
    """A type with a bug in its rules."""

    mood: str

    def model_post_init(self, _: Any) -> None:
        raise RuntimeError(f"can't stand {self.mood}")


def test_a_bug_in_a_rule_costs_its_own_events_alone() -> None:
    rules = Rules(Catalogue([EventType("test", "moody", 1, Moody)]))

    rejected = judge_event(an_event(category="test", name="moody", data={"mood": "blue"}), rules)

    assert isinstance(rejected, Rejected)
    [violation] = rejected.errors
    assert (violation.code, violation.path) == (Code.VALIDATOR_ERROR, "$.data")
    assert violation.message == "the rules of test / moody failed: RuntimeError: can't stand blue"


class Picky(Payload, category="test", name="picky"):
    """A type whose older version knows less."""

    mood: str


class Pickier(Picky, category="test", name="picky", version=2):
    """Its newer version."""

    reason: str


def test_an_event_is_judged_by_the_version_it_names_or_the_default() -> None:
    types = [EventType("test", "picky", 1, Picky), EventType("test", "picky", 2, Pickier)]
    rules = Rules(Catalogue(types))
    event = an_event(category="test", name="picky", data={"mood": "blue"})

    unnamed = [judge_event(event, rules), judge_event(event | {"schema_version": None}, rules)]

    assert [verdict.schema_version for verdict in unnamed if isinstance(verdict, Accepted)] == [1, 1]
    assert broken(judge_event(event | {"schema_version": 2}, rules)) == [("missing_field", "$.data.reason")]


class Strict(Payload, category="test", name="picky", version=2, default_since="2026-12-01T00:00Z"):
    """A version that is the default from a moment on."""

    reason: str


class Mild(Payload, category="test", name="picky", version=3, default_since="2027-01-01T00:00Z"):
    """A version that is the default later on."""


@pytest.mark.parametrize(
    ("received_at", "version"),
    [
        ("2026-11-30T23:59:59.999", 1),
        ("2026-12-01T00:00:00", 2),
        ("2026-12-31T23:59:59.999", 2),
        ("2027-01-01T00:00:00", 3),
    ],
)
def test_an_event_is_judged_by_the_default_of_its_reception(received_at: str, version: int) -> None:
    models: list[type[Payload]] = [Picky, Strict, Mild]
    rules = Rules(Catalogue(EventType("test", "picky", model.event_version, model) for model in models))
    payload = {1: {"mood": "blue"}, 2: {"reason": "rain"}, 3: {}}[version]
    event = an_event(category="test", name="picky", data=payload, timestamp="2026-11-01T00:00:00Z")
    moment = datetime.fromisoformat(received_at).replace(tzinfo=UTC)

    verdict, wrong = (
        judge(a_raw_record(sent, received_at=moment), rules) for sent in (event, event | {"data": {"other": 1}})
    )

    assert isinstance(verdict, Accepted)
    assert verdict.schema_version == version
    assert ("unknown_field", "$.data.other") in broken(wrong)


def test_a_payload_is_passed_on_byte_for_byte_as_sent() -> None:
    data = b'{ "path":"\\u002f",\n"host" : "www.example.com"}'
    value = json.dumps(an_event(data=0)).encode().replace(b'"data": 0', b'"data":' + data)

    accepted = judge(a_raw_record(value=value), RULES)

    assert isinstance(accepted, Accepted)
    assert bytes(accepted.data) == data
    assert bytes(decode_accepted(encode(accepted)).data) == data


# no clock


def test_a_record_is_judged_alike_however_often_and_by_whom() -> None:
    records = [a_raw_record(), a_raw_record(an_event(name="dance")), a_raw_record(value=b"\xff"), a_raw_record({})]
    future = a_raw_record(an_event(timestamp="2999-01-01T00:00:00Z"))

    first = [encode(judge(record, RULES)) for record in [*records, future]]
    again = [encode(judge(record, the_rules())) for record in [*records, future]]

    assert first == again
    assert broken(decode_rejected(first[-1])) == [("future_timestamp", "$.timestamp")]


def test_a_timestamp_is_compared_with_received_at_not_the_clock() -> None:
    received = RECEIVED.replace(year=2998)
    record = a_raw_record(an_event(timestamp=received.isoformat()), received_at=received)

    assert isinstance(judge(record, RULES), Accepted)
