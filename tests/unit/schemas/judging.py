"""Events to judge, and the violations that judging finds."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from schemas.judge import judge
from schemas.rules import Rules
from schemas.verdict import Rejected, Verdict
from tests.support.builders import SUBMIT, a_raw_record, an_event, the_rules

RULES = the_rules()
ANY_TYPE = the_rules(unknown_event_types="accept")


def broken(verdict: Verdict) -> list[tuple[str, str]]:
    """Return code and path of each violation."""
    assert isinstance(verdict, Rejected)
    return [(error.code.value, error.path) for error in verdict.errors]


def judge_event(event: Any, rules: Rules = RULES) -> Verdict:
    return judge(a_raw_record(event), rules)


def a_payload(**data: Any) -> dict[str, Any]:
    return an_event(data={"host": "www.example.com", "path": "/"} | data)


def a_form(form: Any) -> dict[str, Any]:
    return an_event(**SUBMIT, data={"host": "www.example.com", "path": "/", "form": form})


# any bytes

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(codec=None), max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=5,
)
fields = {name: st.just(value) | anything for name, value in an_event().items()}
