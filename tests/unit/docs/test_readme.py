"""README and reference name everything that people rely on."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest
import typer.main

from eye.cli.app import app
from gateway.problems import Problem, ProblemCode
from schemas.settings import Settings
from schemas.verdict import Code
from tests.observability.metric_names import metric_names

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text()
REFERENCE = "\n".join(page.read_text() for page in sorted((ROOT / "docs" / "reference").glob("*.md")))


def settings() -> list[str]:
    return [f"EYE_{name.upper()}" for name in Settings.model_fields]


def statuses(problem: type[Problem] = Problem) -> set[str]:
    return {f"| {problem.status.value} |"}.union(*map(statuses, problem.__subclasses__()))


def metrics() -> list[str]:
    return sorted(name for name in metric_names() if name.startswith("eye_"))


def commands() -> list[str]:
    return list(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "names",
    [settings(), [code.value for code in Code], [code.value for code in ProblemCode], metrics()],
    ids=["settings", "codes", "problem codes", "metrics"],
)
def test_every_name_is_in_the_reference(names: Iterable[str]) -> None:
    assert [name for name in names if f"`{name}`" not in REFERENCE] == []


def test_every_status_is_in_the_reference() -> None:
    assert [status for status in statuses() if status not in REFERENCE] == []


def test_every_command_is_in_the_reference() -> None:
    assert [name for name in commands() if f"`eye {name}" not in REFERENCE] == []


def test_every_default_is_in_the_reference() -> None:
    rows = {line.split("`")[1]: line for line in REFERENCE.splitlines() if line.startswith("| `EYE_")}
    defaults = {f"EYE_{name.upper()}": field.default for name, field in Settings.model_fields.items()}
    shown = {name: ",".join(value) if isinstance(value, list) else str(value) for name, value in defaults.items()}

    assert [
        name for name in rows if defaults[name] not in (None, "", []) and f"`{shown[name]}`" not in rows[name]
    ] == []


def test_the_readme_has_fewer_than_150_lines() -> None:
    assert len(README.splitlines()) < 150


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_every_link_of_the_top_level_leads_somewhere(name: str) -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", (ROOT / name).read_text())

    assert links
    assert [link for link in links if not link.startswith("http") and not (ROOT / link).exists()] == []
