"""JSON as lines, each violation below the value that it is about."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from eye.console.texts import sendable
from schemas.json_reader import Location, json_path

_MOST_DEPTH = 40


class Line(NamedTuple):
    """A line of text; `faulty`: it tells of a violation."""

    text: str
    faulty: bool


def annotated(value: Any, errors: Sequence[Mapping[str, Any]]) -> Iterator[Line]:
    """Yield a value as JSON, and below each place what is wrong with it; what is missing is told at its parent."""
    written = list(_write(value, (), None))
    known = {path for path, _ in written if path}
    told: dict[str, list[Mapping[str, Any]]] = {}
    for error in errors:
        told.setdefault(_nearest(str(error["path"]), known), []).append(error)
    for path, text in written:
        yield Line(sendable(text), False)
        for error in told.pop(path, ()):
            indent = " " * (len(text) - len(text.lstrip()))
            yield Line(f"{indent}^ {error['code']} at {error['path']}: {error['message']}", True)


def _nearest(path: str, known: set[str]) -> str:
    """Return the path itself, or that of the nearest value around it."""
    around = (one for one in known if path.startswith(one) and path[len(one) : len(one) + 1] in ("", ".", "["))
    return max(around, key=len, default="$")


def _write(value: Any, place: Location, name: str | None) -> Iterator[tuple[str, str]]:
    """Yield path and text of each line; a line that closes something has no path."""
    indent, label = "  " * len(place), "" if name is None else f"{json.dumps(name, ensure_ascii=False)}: "
    path = json_path(place)
    if len(place) < _MOST_DEPTH and isinstance(value, dict) and value:
        yield path, f"{indent}{label}{{"
        for member, inner in value.items():
            yield from _write(inner, (*place, member), member)
        yield "", f"{indent}}}"
    elif len(place) < _MOST_DEPTH and isinstance(value, list) and value:
        yield path, f"{indent}{label}["
        for index, inner in enumerate(value):
            yield from _write(inner, (*place, index), None)
        yield "", f"{indent}]"
    else:
        yield path, f"{indent}{label}{json.dumps(value, ensure_ascii=False)}"
