"""Read JSON leniently, and find the values in it that cannot be stored.

Python's reader accepts NaN, Infinity, half surrogate pairs and numbers of any size. These are reported here, each with
its path, instead of failing the whole event.
"""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal
from typing import Any

from schemas.event import unstorable_character
from schemas.verdict import Code, Violation

MAX_DEPTH = 64
"""Deepest nesting of arrays and objects in an event; the event itself is the first level."""

MAX_DIGITS = 309
"""Longest integer in digits: as many as the largest double has."""

MAX_EXPONENT = 400
"""Largest distance of a number's last digit from its point; doubles need less."""

MAX_WORDS = 256
"""Longest path or message of a violation, in characters; with MAX_VIOLATIONS it bounds a rejected event."""

Location = tuple[str | int, ...]

_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class TooDeep(ValueError):
    """JSON that is nested too deep to be read."""


class _Unstorable:
    """A placeholder for a number that cannot be stored."""


def _read_int(text: str) -> int | _Unstorable:
    return int(text) if len(text) <= MAX_DIGITS else _Unstorable()


def _read_float(text: str) -> float | _Unstorable:
    number = float(text)
    try:
        exponent = Decimal(text).as_tuple().exponent
    except ArithmeticError:
        return _Unstorable()
    storable = math.isfinite(number) and isinstance(exponent, int) and abs(exponent) <= MAX_EXPONENT
    return number if storable else _Unstorable()


_decoder = json.JSONDecoder(parse_int=_read_int, parse_float=_read_float)


def loads(text: str) -> Any:
    """Read JSON leniently. Raises TooDeep, or ValueError if it is not JSON at all."""
    try:
        return _decoder.decode(text)
    except RecursionError:
        raise TooDeep("nested too deep to be read") from None


def read_at(text: str, start: int) -> tuple[Any, int]:
    """Read the JSON value that starts at `start`; return it and its end. Raises as `loads` does."""
    try:
        return _decoder.raw_decode(text, start)
    except RecursionError:
        raise TooDeep("nested too deep to be read") from None


def json_path(location: Location) -> str:
    """Return a location as JSON path: `$.data.items[0]['odd key']`, cut to `MAX_WORDS` characters."""
    path = "$" + "".join(_step(key) for key in location)
    return path if len(path) <= MAX_WORDS else path[: MAX_WORDS - 1] + "…"


def _step(key: str | int) -> str:
    if isinstance(key, int):
        return f"[{key}]"
    if _PLAIN_KEY.fullmatch(key):
        return f".{key}"
    escaped = json.dumps(key)[1:-1].replace('\\"', '"').replace("'", "\\'")
    return f"['{escaped}']"


class Violations(dict[str, Violation]):
    """Violations by JSON path; the first one at a path is kept."""

    def add(self, code: Code, at: Location, message: str) -> None:
        """Add a violation, unless there is one at its path."""
        path = json_path(at)
        self.setdefault(path, Violation(code, path, replace_unstorable(message)[:MAX_WORDS]))


def sanitize(value: Any, at: Location, found: Violations) -> Any:
    """Return the value with everything that cannot be stored replaced, and record each such place."""
    match value:
        case str():
            return _sanitize_text(value, at, found)
        case _Unstorable():
            found.add(Code.BAD_VALUE, at, "a number beyond the range of a double can't be stored")
            return 0
        case float() if not math.isfinite(value):
            found.add(Code.BAD_VALUE, at, "NaN and Infinity are not JSON")
            return 0
        case dict() | list() if len(at) >= MAX_DEPTH:
            found.add(Code.TOO_DEEP, at, f"nested deeper than {MAX_DEPTH} levels")
            return None
        case dict():
            return {
                _sanitize_text(key, (*at, key), found): sanitize(item, (*at, key), found) for key, item in value.items()
            }
        case list():
            return [sanitize(item, (*at, index), found) for index, item in enumerate(value)]
        case _:
            return value


def _sanitize_text(value: str, at: Location, found: Violations) -> str:
    fault = unstorable_character(value)
    if fault is None:
        return value
    found.add(Code.BAD_VALUE, at, fault)
    return replace_unstorable(value)


def replace_unstorable(text: str) -> str:
    """Return the text with U+0000 and half surrogate pairs replaced."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
