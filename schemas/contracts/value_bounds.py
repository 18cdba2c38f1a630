"""Bounds of texts, numbers, arrays and objects: where one schema's are narrower than another's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from schemas.contracts.schema_alternatives import Json

_TEXTS = ("", "x", "X", "0", " ", "text", "Text 1", "a@example.com", "2021-01-01")

Found = tuple[str, list[Any]]
"""A reason, and values of which one may show it."""


def bound_refusals(one: Json, other: Json) -> Iterator[Found]:
    """Yield in which way the bounds of `other` refuse values within those of `one`, which has the same type."""
    match one["type"]:
        case "integer" | "number":
            yield from _numbers(one, other)
        case "string":
            yield from _sizes(one, other, "Length", lambda size: ["x" * size])
            yield from _texts(one, other)
        case "array":
            yield from _sizes(one, other, "Items", lambda size: [list(range(size)), [f"x{n}" for n in range(size)]])
            if other.get("uniqueItems") and not one.get("uniqueItems"):
                yield "an item twice is refused", [["x", "x"], [1, 1], [True, True]]
        case "object":
            yield from _sizes(one, other, "Properties", _objects)


def _objects(size: int) -> list[Any]:
    return [{f"field_{n}": value for n in range(size)} for value in ("x", 1)]


def _sizes(one: Json, other: Json, what: str, of_size: Any) -> Iterator[Found]:
    least, most = other.get(f"min{what}", 0), other.get(f"max{what}")
    if least > one.get(f"min{what}", 0):
        yield f"min{what} is {least}", of_size(least - 1)
    if most is not None and (one.get(f"max{what}") is None or one[f"max{what}"] > most):
        yield f"max{what} is {most}", of_size(min(most + 1, 100_000))


def _texts(one: Json, other: Json) -> Iterator[Found]:
    pattern, kind = other.get("pattern"), other.get("format")
    if pattern is not None and pattern != one.get("pattern"):
        yield f"only texts like {pattern} are accepted", list(_TEXTS)
    if kind is not None and kind != one.get("format"):
        yield f"only texts of the format {kind} are accepted", ["text"]


def _numbers(one: Json, other: Json) -> Iterator[Found]:
    lowest, low = _bound(one, "Minimum"), _bound(other, "Minimum")
    if low is not None and (lowest is None or lowest < low):
        near = [low[0], low[0] - 1, low[0] - 0.5] + ([lowest[0], lowest[0] + 1] if lowest else [])
        yield f"the {'exclusive ' if low[1] else ''}minimum is {low[0]}", near
    highest, high = _bound(one, "Maximum"), _bound(other, "Maximum")
    if high is not None and (highest is None or _negated(highest) < _negated(high)):
        near = [high[0], high[0] + 1, high[0] + 0.5] + ([highest[0], highest[0] - 1] if highest else [])
        yield f"the {'exclusive ' if high[1] else ''}maximum is {high[0]}", near
    step, given = other.get("multipleOf"), one.get("multipleOf")
    if step is not None and not (given and given % step == 0) and not (one["type"] == "integer" and step == 1):
        yield f"only multiples of {step} are accepted", [step + 1, step + 0.5, given or 1, 1, 2, 3, 5]
    for limit in ("x-max-digits", "x-decimal-places"):
        if other.get(limit) is not None and (one.get(limit) is None or one[limit] > other[limit]):
            yield f"{limit[2:]} is {other[limit]}", []


def _bound(schema: Json, which: str) -> tuple[float, bool] | None:
    """Return the narrower of a plain and an exclusive bound; of two with the same number the exclusive one."""
    plain, exclusive = schema.get(which.lower()), schema.get(f"exclusive{which}")
    found = [
        (number, is_exclusive) for number, is_exclusive in ((plain, False), (exclusive, True)) if number is not None
    ]
    if not found:
        return None
    return max(found) if which == "Minimum" else min(found, key=_negated_key)


def _negated(bound: tuple[float, bool]) -> tuple[float, bool]:
    return -bound[0], bound[1]


def _negated_key(bound: tuple[float, bool]) -> tuple[float, bool]:
    return bound[0], not bound[1]
