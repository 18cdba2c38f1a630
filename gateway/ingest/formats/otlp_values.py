"""OTLP's values as plain JSON: `{"intValue": "5"}` is 5, and a list of keys with values is an object."""

from __future__ import annotations

import re

from gateway.ingest.formats.event import is_deeper
from gateway.ingest.formats.json_slices import Members, elements, given, joined, object_members, string
from schemas.json_reader import MAX_DEPTH

_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?|NaN|-?Infinity", re.ASCII)


_DEEPEST = 3 * (MAX_DEPTH + 1)
"""OTLP's JSON has three levels for each of ours."""


class TooDeep(ValueError):
    """A value that is nested deeper than an event may be."""


def attributes(value: bytes | None, depth: int = 0) -> Members:
    """Return a list of keys with values as the members of an object. Raises TooDeep."""
    _check_depth(value, depth)
    found: Members = {}
    for attribute in map(object_members, _elements(value)):
        name = string(attribute.get("key"))
        if name is not None:
            found[name] = plain(attribute.get("value"), depth)
    return found


def plain(value: bytes | None, depth: int = 0) -> bytes:
    """Return a value as JSON; null where it has none. Raises TooDeep."""
    _check_depth(value, depth)
    kind, part = next(iter(given(object_members(value)).items()), ("", b"null"))
    match kind:
        case "intValue" | "doubleValue":
            text = string(part) or ""
            return text.encode() if _NUMBER.fullmatch(text) else part
        case "arrayValue":
            values = _elements(object_members(part).get("values"))
            return b"[%b]" % b",".join(plain(each, depth + 1) for each in values)
        case "kvlistValue":
            return joined(attributes(object_members(part).get("values"), depth + 1))
    return part


def _check_depth(value: bytes | None, depth: int) -> None:
    """Raise TooDeep where a value goes too deep; at the top all of it is looked at, as each level takes a look."""
    if depth > MAX_DEPTH or (depth == 0 and value is not None and is_deeper(value, _DEEPEST)):
        raise TooDeep(f"nested deeper than {MAX_DEPTH} levels")


def _elements(value: bytes | None) -> list[bytes]:
    """Return the elements of an array; none where there is no array."""
    try:
        return [] if value is None else elements(value, len(value)) or []
    except ValueError:
        return []
