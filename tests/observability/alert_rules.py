"""Alert rules and their tests, in the formats of Prometheus and promtool, run on series in memory."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import promql_parser as syntax

from tests.observability.promql import Labels, Store, evaluate

_RUN = re.compile(r"(?P<start>-?[\d.]+)(?:(?P<step>[+-][\d.]+))?x(?P<times>\d+)")

Alert = tuple[Labels, Labels]
"""The labels and the annotations of an alert that fires."""


class RuleTest(NamedTuple):
    """One expectation of a test file: which alerts of a rule fire at a time, over these series."""

    name: str
    store: Store
    rule: Mapping[str, Any]
    step: float
    at: float
    expected: Sequence[Alert]


def seconds(duration: str) -> float:
    """Return a duration, written like 24h10m, in seconds."""
    return float(syntax.parse_duration(duration).total_seconds()) if duration != "0s" else 0.0


def rule_tests(rules: Mapping[str, Any], tests: Mapping[str, Any]) -> Iterator[RuleTest]:
    """Yield every expectation of a test file."""
    by_name = {rule["alert"]: rule for group in rules["groups"] for rule in group["rules"]}
    step = seconds(tests["evaluation_interval"])
    for test in tests["tests"]:
        store = _store(test["input_series"], seconds(test["interval"]))
        for wanted in test["alert_rule_test"]:
            expected = [
                (_labels(alert["exp_labels"]), _labels(alert["exp_annotations"]))
                for alert in wanted.get("exp_alerts", [])
            ]
            rule, at = by_name[wanted["alertname"]], wanted["eval_time"]
            name = f"{wanted['alertname']} at {at}: {test['name']}"
            yield RuleTest(name, store, rule, step, seconds(at), expected)


def firing(test: RuleTest) -> list[Alert]:
    """Return the alerts that fire at the time of a test."""
    patience = seconds(test.rule.get("for", "0s"))
    since: dict[Labels, float] = {}
    for number in range(int(test.at // test.step) + 1):
        now = number * test.step
        if test.at - now > patience + test.step:  # it can't have begun to count before that
            continue
        since = {labels: since.get(labels, now) for labels in evaluate(test.store, test.rule["expr"], now)}
    own, annotations = _labels(test.rule["labels"]), _labels(test.rule["annotations"])
    return [(labels | own, annotations) for labels, began in since.items() if test.at - began >= patience]


def _labels(labels: Mapping[str, Any]) -> Labels:
    return frozenset((name, str(value)) for name, value in labels.items())


def _store(series: Sequence[Mapping[str, str]], interval: float) -> Store:
    store = Store()
    for given in series:
        selector = syntax.parse(given["series"])
        assert isinstance(selector, syntax.VectorSelector)
        assert selector.name is not None
        labels = {matcher.name: matcher.value for matcher in selector.matchers.matchers}
        for number, value in enumerate(_values(str(given["values"]))):
            store.add(selector.name, labels, number * interval, value)
    return store


def _values(notation: str) -> Iterator[float]:
    """Yield the values that promtool's notation stands for; one that is stale is not a number."""
    for word in notation.split():
        if run := _RUN.fullmatch(word):
            start, step = float(run["start"]), float(run["step"] or 0)
            yield from (start + step * number for number in range(int(run["times"]) + 1))
        else:
            yield math.nan if word == "stale" else float(word)
