"""Find what one JSON Schema accepts and another refuses, each with a value that shows it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from msgspec import UNSET

from schemas.contracts.samples import Unending, sample_value
from schemas.contracts.schema_alternatives import Json, alternatives
from schemas.contracts.value_bounds import bound_refusals
from schemas.timestamp import parse_timestamp

_COMPARED = {
    *("type", "enum", "properties", "required", "additionalProperties", "minProperties", "maxProperties"),
    *("items", "prefixItems", "minItems", "maxItems", "uniqueItems"),
    *("minLength", "maxLength", "pattern", "format"),
    *("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "multipleOf", "x-max-digits", "x-decimal-places"),
}

_formats = FormatChecker(("date", "email", "ipv4", "ipv6", "uuid"))
_formats.checks("date-time", raises=ValueError)(lambda value: not isinstance(value, str) or parse_timestamp(value))


@dataclass(frozen=True)
class Refusal:
    """A place in a payload where values that were accepted are refused.

    `value` is such a payload; UNSET where none was found: then the schemas alone say so, as of two patterns.
    """

    path: str
    why: str
    value: Any = UNSET


def find_refusals(accepting: Json, refusing: Json) -> list[Refusal]:
    """Return why values that one schema accepts are refused by another; empty if each is accepted.

    It errs on one side: where it can't tell, as of two patterns, it names a refusal.
    """
    return list(_Comparison(accepting, refusing).compare(accepting, refusing, "$", ""))


def is_valid(schema: Json, value: Any) -> bool:
    """Return whether a schema accepts a value, its format included; False where it can't be told."""
    try:
        return bool(Draft202012Validator(schema, format_checker=_formats).is_valid(value))
    except re.error:  # a pattern of pydantic's engine that Python's does not know
        return False


class _Comparison:
    def __init__(self, accepting: Json, refusing: Json) -> None:
        self._accepted_defs, self._refused_defs = accepting.get("$defs", {}), refusing.get("$defs", {})
        self._open: set[tuple[str, str]] = set()

    def compare(self, accepting: Any, refusing: Any, path: str, name: str) -> Iterator[Refusal]:
        """Yield the refusals of a place; a pair of recursive schemas is looked at once."""
        pair = (repr(accepting), repr(refusing))
        same = pair[0] == pair[1] and "$ref" not in pair[0]
        if same or pair in self._open or refusing is True:
            return
        self._open.add(pair)
        others = list(alternatives(refusing, self._refused_defs))
        for one in alternatives(accepting, self._accepted_defs):
            yield from self._uncovered(one, others, path, name)
        self._open.discard(pair)

    def _uncovered(self, one: Json, others: list[Json], path: str, name: str) -> list[Refusal]:
        """Return why an alternative is refused: what its nearest counterpart refuses; empty if one covers it."""
        if "enum" in one:
            return self._refused_values(one["enum"], others, path)
        same_type = [other for other in others if _takes_type(one, other)]
        tried = [list(self._against(one, other, path, name)) for other in same_type]
        if tried:
            return min(tried, key=len)
        wanted = ", ".join(dict.fromkeys(_kind(other) for other in others)) or "nothing"
        return [Refusal(path, f"{one['type']} is refused, accepted is {wanted}", self._shown(one, others, name))]

    def _refused_values(self, values: list[Any], others: list[Json], path: str) -> list[Refusal]:
        refused = [value for value in values if not any(self._takes(other, value) for other in others)]
        listed = ", ".join(repr(value) for value in refused[:5])
        return [Refusal(path, f"{listed} is refused", refused[0])] if refused else []

    def _against(self, one: Json, other: Json, path: str, name: str) -> Iterator[Refusal]:
        if "enum" in other:
            listed = ", ".join(repr(value) for value in other["enum"][:5])
            yield Refusal(path, f"only {listed} is accepted", self._shown(one, [other], name))
            return
        if one["type"] == "number" and other["type"] == "integer":
            yield Refusal(path, "a number that is no integer is refused", self._shown(one, [other], name, [0.5, 1.5]))
        for why, candidates in bound_refusals(one, other):
            yield Refusal(path, why, self._shown(one, [other], name, candidates))
        if one["type"] == "object":
            yield from self._members(one, other, path, name)
        elif one["type"] == "array":
            yield from self._items(one, other, path, name)
        for key in sorted({*other, "patternProperties"} - _COMPARED):
            if other.get(key) != one.get(key):
                yield Refusal(path, f"{key} changed, which may refuse what was accepted")

    def _members(self, one: Json, other: Json, path: str, name: str) -> Iterator[Refusal]:
        base = self._sample(one, name)
        known, expected = one.get("properties", {}), other.get("properties", {})
        rest, others_rest = one.get("additionalProperties", True), other.get("additionalProperties", True)
        for field in other.get("required", []):
            if field not in one.get("required", []):
                without = {member: value for member, value in base.items() if member != field}
                yield Refusal(f"{path}.{field}", "the field is required", without)
        for field, schema in known.items():
            if field not in expected and others_rest is False:
                value = base | {field: self._sample(schema, field)}
                yield Refusal(f"{path}.{field}", "the field is unknown and refused", value)
            else:
                found = self.compare(schema, expected.get(field, others_rest), f"{path}.{field}", field)
                yield from _inside(found, lambda value, field=field: base | {field: value})
        if rest is False:
            return
        for field in expected.keys() - known.keys():
            found = self.compare(rest, expected[field], f"{path}.{field}", field)
            yield from _inside(found, lambda value, field=field: base | {field: value})
        if others_rest is False:
            yield Refusal(f"{path}.*", "fields that are not named are refused", base | {"other_field": _any(rest)})
        else:
            found = self.compare(rest, others_rest, f"{path}.*", "")
            yield from _inside(found, lambda value: base | {"other_field": value})

    def _items(self, one: Json, other: Json, path: str, name: str) -> Iterator[Refusal]:
        firsts, other_firsts = one.get("prefixItems", []), other.get("prefixItems", [])
        base = self._sample(one, name)
        for index in range(max(len(firsts), len(other_firsts))):
            found = self.compare(_at(one, firsts, index), _at(other, other_firsts, index), f"{path}[{index}]", name)
            yield from _inside(found, lambda value, index=index: [*base[:index], value, *base[index + 1 :]])
        if one.get("maxItems") is not None and one["maxItems"] <= len(firsts):
            return
        found = self.compare(one.get("items", True), other.get("items", True), f"{path}[*]", name)
        least = max(1, one.get("minItems", 1) - len(firsts))
        yield from _inside(found, lambda value: [*base[: len(firsts)], *[value] * least])

    def _shown(self, one: Json, others: list[Json], name: str, candidates: Iterable[Any] = ()) -> Any:
        """Return a value that the one accepts and no other one does; UNSET if no candidate is one."""
        for value in (*candidates, self._sample(one, name), "x", "", 7, 0, 0.5, [], {}):
            if self._valid(one, self._accepted_defs, value) and not any(self._takes(o, value) for o in others):
                return value
        return UNSET

    def _sample(self, schema: Any, name: str) -> Any:
        try:
            return _any(schema) if isinstance(schema, bool) else sample_value(schema, self._accepted_defs, name)
        except Unending:
            return {} if schema.get("type") == "object" else None

    def _takes(self, schema: Json, value: Any) -> bool:
        return self._valid(schema, self._refused_defs, value)

    @staticmethod
    def _valid(schema: Json, definitions: Json, value: Any) -> bool:
        return is_valid({**schema, "$defs": definitions}, value)


def _inside(found: Iterable[Refusal], wrap: Any) -> Iterator[Refusal]:
    """Put the values of a place's refusals into the value around it."""
    for refusal in found:
        yield refusal if refusal.value is UNSET else replace(refusal, value=wrap(refusal.value))


def _takes_type(one: Json, other: Json) -> bool:
    kinds = (one["type"], other.get("type"))
    return "enum" in other or kinds[0] == kinds[1] or set(kinds) == {"integer", "number"}


def _at(schema: Json, firsts: list[Any], index: int) -> Any:
    return firsts[index] if index < len(firsts) else schema.get("items", True)


def _kind(schema: Json) -> str:
    return str(schema.get("type") or schema.get("enum"))


def _any(schema: Any) -> Any:
    return sample_value(schema, {}, "other_field") if isinstance(schema, dict) else "value"
