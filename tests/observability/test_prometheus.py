"""The alert rules and the dashboard: what they name exists, and each rule fires when it must and not before."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pytest
import yaml

from tests.observability.alert_rules import RuleTest, firing, rule_tests
from tests.observability.metric_names import metric_names
from tests.observability.promql import names_in

DEPLOY = Path(__file__).parents[2] / "deploy"
RULES = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yaml").read_text())
TESTS = yaml.safe_load((DEPLOY / "prometheus" / "alerts.test.yaml").read_text())
ALERTS = [rule for group in RULES["groups"] for rule in group["rules"]]

PROMETHEUS_OWN = {"up"}


def exists(name: str) -> bool:
    """Tell whether a process serves such a series, those of a histogram included."""
    families = metric_names() | PROMETHEUS_OWN
    return name in families or any(
        name == f"{family}{end}" for family in families for end in ("_bucket", "_count", "_sum")
    )


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: rule["alert"])
def test_every_metric_of_a_rule_exists(rule: dict[str, Any]) -> None:
    assert [name for name in names_in(rule["expr"]) if not exists(name)] == []


@pytest.mark.parametrize("test", list(rule_tests(RULES, TESTS)), ids=lambda test: test.name)
def test_a_rule_fires_when_it_must_and_not_before(test: RuleTest) -> None:
    assert set(firing(test)) == set(test.expected)


def test_every_rule_is_tested_firing_and_silent() -> None:
    tests = list(rule_tests(RULES, TESTS))
    names = {rule["alert"] for rule in ALERTS}

    assert {test.rule["alert"] for test in tests if test.expected} == names
    assert {test.rule["alert"] for test in tests if test.name.endswith("all is well")} == names


def test_every_alert_is_explained_to_operators() -> None:
    page = (DEPLOY.parent / "docs" / "observability.md").read_text()

    assert [rule["alert"] for rule in ALERTS if f"`{rule['alert']}`" not in page] == []


def panels() -> Iterator[dict[str, Any]]:
    dashboard = json.loads((DEPLOY / "grafana" / "dashboards" / "eye.json").read_text())
    yield from (panel for panel in dashboard["panels"] if panel["type"] != "row")


@pytest.mark.parametrize("panel", list(panels()), ids=lambda panel: panel["title"])
def test_every_metric_of_a_panel_exists(panel: dict[str, Any]) -> None:
    expressions = [target["expr"].replace("$__rate_interval", "1m") for target in panel["targets"]]

    assert [name for expression in expressions for name in names_in(expression) if not exists(name)] == []
    assert panel["fieldConfig"]["defaults"]["unit"]


def test_the_picture_in_the_docs_has_every_panel_of_the_dashboard() -> None:
    picture = (DEPLOY.parent / "docs" / "dashboard.svg").read_text()

    assert [panel["title"] for panel in panels() if f">{escape(panel['title'])}</text>" not in picture] == []
    assert picture.count('fill="none" stroke=') > len(list(panels()))


def test_compose_mounts_rules_and_dashboard_where_they_are_read() -> None:
    services = yaml.safe_load((DEPLOY.parent / "compose.yaml").read_text())["services"]
    configuration = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    provisioning = DEPLOY / "grafana" / "provisioning"
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "eye.yaml").read_text())["providers"]
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yaml").read_text())["datasources"]

    assert configuration["rule_files"] == ["alerts.yaml"]
    assert "./deploy/prometheus:/etc/prometheus:ro" in services["prometheus"]["volumes"]
    assert f"./deploy/grafana/dashboards:{provider['options']['path']}:ro" in services["grafana"]["volumes"]
    assert {target["datasource"]["uid"] for panel in panels() for target in panel["targets"]} == {source["uid"]}
