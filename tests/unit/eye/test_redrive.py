"""Transformations of rejected events."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from eye.redrive.describe import describe
from eye.redrive.transform import Step, read_steps, transform
from eye.runs.errors import ReplayError

EVENT: dict[str, Any] = {"name": "pageview", "data": {"colour": "red", "tags": ["a", "b"], "a/b": 1}}


@pytest.mark.parametrize(
    ("step", "changed"),
    [
        (Step("set", "/data/path", value="/"), {"data": EVENT["data"] | {"path": "/"}}),
        (Step("set", "/name", value=None), {"name": None}),
        (Step("set", "/data/tags/1", value="c"), {"data": EVENT["data"] | {"tags": ["a", "c"]}}),
        (Step("set", "/data/tags/-", value="c"), {"data": EVENT["data"] | {"tags": ["a", "b", "c"]}}),
        (Step("set", "/nowhere/else", value=1), {}),
        (Step("remove", "/data/a~1b"), {"data": {"colour": "red", "tags": ["a", "b"]}}),
        (Step("remove", "/data/tags/0"), {"data": EVENT["data"] | {"tags": ["b"]}}),
        (Step("remove", "/data/nothing"), {}),
        (Step("rename", "/data/colour", to="/data/color"), {"data": {"tags": ["a", "b"], "a/b": 1, "color": "red"}}),
        (Step("rename", "/data/nothing", to="/data/color"), {}),
        (Step("rename", "/data/colour", to="/nowhere/color"), {}),
    ],
    ids=str,
)
def test_a_step_changes_what_its_pointer_names(step: Step, changed: dict[str, Any]) -> None:
    before = json.dumps(EVENT)

    assert transform(EVENT, [step]) == EVENT | changed
    assert json.dumps(EVENT) == before


def test_steps_follow_each_other() -> None:
    steps = [Step("rename", "/data/colour", to="/data/color"), Step("set", "/data/color", value="blue")]

    assert transform(EVENT, steps)["data"]["color"] == "blue"


def test_steps_are_read_from_json_and_from_toml(tmp_path: Path) -> None:
    (tmp_path / "steps.json").write_text('[{"op": "set", "path": "/data/path", "value": "/"}]')
    (tmp_path / "steps.toml").write_text('[[steps]]\nop = "set"\npath = "/data/path"\nvalue = "/"\n')

    assert read_steps(tmp_path / "steps.json") == read_steps(tmp_path / "steps.toml")


@pytest.mark.parametrize(
    ("steps", "sentence"),
    [
        ("nope", "is no list of steps"),
        ('[{"op": "drop", "path": "/a"}]', "is no list of steps"),
        ('[{"op": "set", "path": "a", "value": 1}]', "'a' is no JSON pointer"),
        ('[{"op": "set", "path": "/a"}]', "set has a value"),
        ('[{"op": "rename", "path": "/a"}]', "rename has to"),
        ('[{"op": "remove", "path": "/a", "value": 1}]', "remove has neither"),
        ('[{"op": "set", "path": "/session_id", "value": "s"}]', "/session_id can't be changed"),
        ('[{"op": "rename", "path": "/a", "to": "/event_id"}]', "/event_id can't be changed"),
    ],
)
def test_steps_that_cannot_be_taken_are_told(tmp_path: Path, steps: str, sentence: str) -> None:
    file = tmp_path / "steps.json"
    file.write_text(steps)

    with pytest.raises(ReplayError, match=sentence):
        read_steps(file)


def test_a_sample_is_shown_as_a_difference_or_its_reasons() -> None:
    error = {"code": "missing_field", "path": "$.data.path", "message": "Field required"}
    sample = {
        "event_id": "e",
        "application": "shop",
        "codes": ["bad_value"],
        "becomes": "rejected",
        "errors_now": [error],
    }

    mended = describe(sample | {"before": '{"a": 1, "b": 2}', "after": '{"a": 1, "b": 3}'})
    untouched = describe(sample | {"before": "no JSON", "after": "no JSON"})

    assert list(mended)[2:] == [
        "  missing_field at $.data.path: Field required",
        "@@ -1,4 +1,4 @@",
        " {",
        '   "a": 1,',
        '-  "b": 2',
        '+  "b": 3',
        " }",
    ]
    assert list(untouched)[-1] == "  the steps change nothing in it"
