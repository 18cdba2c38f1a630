"""JSON Schemas taken apart: references resolved, unions and lists of types as alternatives of one type each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Json = dict[str, Any]

_ANNOTATIONS = (
    "$schema",
    "$id",
    "$defs",
    "$comment",
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "pii",
)
_TYPES = ("null", "boolean", "number", "string", "array", "object")
_FREE_FORMATS = ("binary", "password", "multi-line", "path")
"""Formats that no validator holds a text against."""


def rules_of(schema: Any) -> Json:
    """Return the keywords of a schema that refuse values: no titles, examples and the like. False refuses all."""
    if isinstance(schema, bool):
        return {} if schema else {"enum": []}
    kept = {key: value for key, value in schema.items() if key not in _ANNOTATIONS and not _is_note(key)}
    return {key: value for key, value in kept.items() if key != "format" or value not in _FREE_FORMATS}


def _is_note(key: str) -> bool:
    return key == "discriminator" or (key.startswith("x-") and key not in ("x-max-digits", "x-decimal-places"))


def alternatives(schema: Any, definitions: Mapping[str, Any]) -> Iterator[Json]:
    """Yield schemas of one type each (or of an `enum`), which together accept what the schema accepts."""
    rules = rules_of(schema)
    if "$ref" in rules:
        target = definitions[rules.pop("$ref").rsplit("/", 1)[-1]]
        yield from alternatives({**rules_of(target), **rules}, definitions)
        return
    for part in rules.pop("allOf", []):
        rules = {**rules_of(part), **rules}
    for key in ("anyOf", "oneOf"):
        if key in rules:
            rest = {name: value for name, value in rules.items() if name != key}
            for part in rules[key]:
                yield from alternatives({**rest, **rules_of(part)}, definitions)
            return
    yield from _of_one_type(rules)


def _of_one_type(rules: Json) -> Iterator[Json]:
    if "const" in rules:
        rules["enum"] = [rules.pop("const")]
    if "enum" in rules:
        yield rules
        return
    types = rules.get("type", _TYPES)
    for kind in [types] if isinstance(types, str) else types:
        match kind:
            case "null":
                yield {"enum": [None]}
            case "boolean":
                yield {"enum": [False, True]}
            case _:
                yield {**rules, "type": kind}
