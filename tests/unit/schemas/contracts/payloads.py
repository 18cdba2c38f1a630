"""Strategies of Hypothesis for the values of a JSON Schema as pydantic makes it."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

Json = dict[str, Any]

_ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-1e6, 1e6) | st.text(max_size=5),
    lambda inside: st.lists(inside, max_size=3) | st.dictionaries(st.text(max_size=5), inside, max_size=3),
    max_leaves=5,
)


def payloads(schema: Json) -> st.SearchStrategy[Any]:
    """Return a strategy of payloads that a document of the catalogue accepts."""
    return _values(schema, schema.get("$defs", {}))


def _values(schema: Any, definitions: Json) -> st.SearchStrategy[Any]:
    if schema is True or not schema:
        return _ANYTHING
    if "$ref" in schema:
        target = definitions[schema["$ref"].rsplit("/", 1)[-1]]
        return st.deferred(lambda: _values(target, definitions))
    if "anyOf" in schema:
        return st.one_of([_values(part, definitions) for part in schema["anyOf"]])
    if "const" in schema:
        return st.just(schema["const"])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema.get("type"):
        case "null":
            return st.none()
        case "boolean":
            return st.booleans()
        case "integer":
            return _integers(schema)
        case "number":
            return st.floats(-1e6, 1e6).filter(lambda value: not value.is_integer())
        case "string" if "pattern" in schema:
            return st.from_regex(schema["pattern"], fullmatch=True).map(str.strip)
        case "string":
            return st.text(min_size=schema.get("minLength", 0), max_size=schema.get("maxLength", 20))
        case "array":
            return _arrays(schema, definitions)
        case "object":
            return _objects(schema, definitions)
    return _ANYTHING


def _integers(schema: Json) -> st.SearchStrategy[Any]:
    low, high = schema.get("minimum", -(2**53)), schema.get("maximum", 2**53)
    low, high = (
        max(low, schema.get("exclusiveMinimum", low - 1) + 1),
        min(high, schema.get("exclusiveMaximum", high + 1) - 1),
    )
    step = schema.get("multipleOf", 1)
    return st.integers(-(-low // step), high // step).map(lambda number: number * step)


def _arrays(schema: Json, definitions: Json) -> st.SearchStrategy[Any]:
    if "prefixItems" in schema:
        return st.tuples(*(_values(part, definitions) for part in schema["prefixItems"])).map(list)
    least, most = schema.get("minItems", 0), schema.get("maxItems", 5)
    items = _values(schema.get("items", True), definitions)
    return st.lists(items, min_size=least, max_size=most, unique=schema.get("uniqueItems", False))


def _objects(schema: Json, definitions: Json) -> st.SearchStrategy[Any]:
    fields = {name: _values(field, definitions) for name, field in schema.get("properties", {}).items()}
    required = set(schema.get("required", []))
    named = st.fixed_dictionaries(
        {name: values for name, values in fields.items() if name in required},
        optional={name: values for name, values in fields.items() if name not in required},
    )
    rest = schema.get("additionalProperties", True)
    if rest is False:
        return named
    names = st.text(max_size=5).filter(lambda name: name not in fields)
    others = st.dictionaries(names, _values(rest, definitions), max_size=3)
    return st.tuples(others, named).map(lambda both: both[0] | both[1])
