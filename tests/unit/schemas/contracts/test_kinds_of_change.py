"""What each kind of change breaks, proven by payloads: both by the models and by their JSON Schemas."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from pydantic import ValidationError

from schemas.catalogue import Catalogue, EventType
from schemas.contracts.compat import Change, Mode, compare_catalogues
from schemas.contracts.json_schemas import json_schemas
from schemas.contracts.refusals import find_refusals, is_valid
from tests.unit.schemas.contracts.kinds_of_change import KINDS, Fields, model
from tests.unit.schemas.contracts.payloads import payloads

ONLY_SCHEMAS = ("items become unequal",)
"""A rule that is stated in the schema alone; the model does not hold it."""

NOT_SHOWN = ("scale of a decimal narrowed", "pattern that Python does not know")
"""Kinds whose breaks the schemas name without an event that shows them."""


def version(fields: Fields) -> EventType:
    return EventType("test", "changing", 1, model(fields))


def exported(event_type: EventType) -> list[dict[str, Any]]:
    return list(json_schemas(Catalogue([event_type])).values())


def changes(old: EventType, new: EventType) -> list[Change]:
    return compare_catalogues(exported(old), exported(new))


def accepts(event_type: EventType, payload: Any) -> bool:
    try:
        event_type.check(json.dumps(payload))
    except ValidationError:
        return False
    return True


kinds = pytest.mark.parametrize("kind", KINDS)


@kinds
def test_each_kind_of_change_has_its_verdict(kind: str) -> None:
    before, after, (senders, readers) = KINDS[kind]

    found = changes(version(before), version(after))

    assert any(change.senders for change in found) == senders, found
    assert any(change.readers for change in found) == readers, found
    assert any(change.breaks(Mode.BACKWARD) for change in found) == senders
    assert any(change.breaks(Mode.FORWARD) for change in found) == readers
    assert any(change.breaks(Mode.FULL) for change in found) == (senders or readers)


@kinds
def test_a_break_is_shown_by_an_event_that_one_side_refuses(kind: str) -> None:
    before, after, broken = KINDS[kind]
    old, new = version(before), version(after)

    found = changes(old, new)

    shown = [change.example for change in found if change.example is not None]
    assert bool(shown) == any(broken) or kind in NOT_SHOWN, found
    for change in found:
        if change.example is None:
            continue
        payload = change.example["data"]
        sides = [is_valid(exported(side)[0], payload) for side in (old, new)]
        assert sides == ([True, False] if change.senders else [False, True]), (change, payload)
        if kind not in ONLY_SCHEMAS:
            assert [accepts(old, payload), accepts(new, payload)] == sides, payload


@pytest.mark.parametrize("kind", [kind for kind, (_, _, broken) in KINDS.items() if broken != (True, True)])
def test_whoever_goes_on_has_no_event_refused(kind: str) -> None:
    before, after, (senders, readers) = KINDS[kind]
    old, new = version(before), version(after)
    pairs = ([] if senders else [(old, new)]) + ([] if readers else [(new, old)])

    for one, other in pairs:
        no_event_is_refused(one, other)


def no_event_is_refused(one: EventType, other: EventType) -> None:
    """Make payloads of one model, and hold them against another one and its schema."""
    [one_schema], [other_schema] = exported(one), exported(other)

    @given(payloads(one_schema))
    @settings(max_examples=25, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    def each_is_accepted(payload: Any) -> None:
        assert is_valid(one_schema, payload)
        assert is_valid(other_schema, payload)
        assert accepts(one, payload)
        assert accepts(other, payload)

    each_is_accepted()


@pytest.mark.parametrize(
    ("accepting", "refusing"),
    [
        ({}, {"dependentRequired": {"a": ["b"]}}),
        ({"patternProperties": {"^a": {"type": "string"}}}, {}),
        ({"patternProperties": {"^a": {"type": "string"}}}, {"patternProperties": {"^a": {"type": "integer"}}}),
        ({"patternProperties": {"^a": {}}, "additionalProperties": False}, {"additionalProperties": False}),
    ],
)
def test_a_keyword_that_is_not_compared_counts_as_a_break(accepting: Any, refusing: Any) -> None:
    assert find_refusals({"type": "object", **accepting}, {"type": "object", **refusing})
