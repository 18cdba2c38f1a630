"""Find the parts of a JSON document, for documents that the fast reader does not take.

Values are read by `schemas.json_reader`. A value that is nested too deep for it is delimited by its brackets
alone; the stream rejects it later.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from schemas import json_reader

_SPACE = re.compile(r"[ \t\n\r]*")
# a string that never ends counts to the end of the text, so that each character is looked at once
_BRACKET = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)


MAX_MEMBERS = 20_000
"""Most members of an object that are looked at one by one; more than 64 KiB can hold."""


class TooManyElements(Exception):
    """An array with more elements than wanted."""


class Span(NamedTuple):
    """The part of a text from `start` to before `end`."""

    start: int
    end: int


def text_of(value: bytes) -> str:
    """Return bytes as text; those that are no UTF-8 are kept, for `surrogateescape` to bring back."""
    return value.decode("utf-8", "surrogateescape")


def nothing_follows(text: str, end: int) -> None:
    """Raise ValueError where a document goes on after its end."""
    if end != len(text):
        raise ValueError(f"something follows its end, at character {end}")


def skip_space(text: str, at: int) -> int:
    """Return where the white space that may begin at `at` ends."""
    match = _SPACE.match(text, at)
    return match.end() if match else at


def elements(text: str, start: int, limit: int) -> tuple[list[Span], int]:
    """Return the elements of the array that begins at `start`, and where it ends.

    Raises ValueError where it is no JSON, TooManyElements beyond the limit.
    """
    spans: list[Span] = []
    at = skip_space(text, start + 1)
    if text[at : at + 1] == "]":
        return spans, at + 1
    while True:
        end = end_of_value(text, at)
        spans.append(Span(at, end))
        if len(spans) > limit:
            raise TooManyElements
        at = skip_space(text, end)
        if text[at : at + 1] == "]":
            return spans, at + 1
        at = skip_space(text, _after(",", text, at))


def members(text: str, start: int) -> tuple[dict[str, Span], int]:
    """Return the members of the object that begins at `start`, the last of each name, and where it ends.

    Raises ValueError where it is no JSON, or beyond MAX_MEMBERS.
    """
    spans: dict[str, Span] = {}
    at = skip_space(text, start + 1)
    if text[at : at + 1] == "}":
        return spans, at + 1
    for _ in range(MAX_MEMBERS):
        _after('"', text, at)
        name, at = json_reader.read_at(text, at)
        at = skip_space(text, _after(":", text, skip_space(text, at)))
        end = end_of_value(text, at)
        spans[name] = Span(at, end)
        at = skip_space(text, end)
        if text[at : at + 1] == "}":
            return spans, at + 1
        at = skip_space(text, _after(",", text, at))
    raise ValueError(f"an object has more than {MAX_MEMBERS} members")


def read(text: str, span: Span) -> Any:
    """Return the value of a part. What is nested too deep to be read counts as an array: it is no text."""
    try:
        return json_reader.read_at(text, span.start)[0]
    except json_reader.TooDeep:
        return []


def _after(expected: str, text: str, at: int) -> int:
    if text[at : at + 1] != expected:
        raise ValueError(f"expected {expected} at character {at}")
    return at + 1


def end_of_value(text: str, start: int) -> int:
    try:
        return json_reader.read_at(text, start)[1]
    except json_reader.TooDeep:
        return _end_of_brackets(text, start)


def depth(text: str) -> int:
    """Return how deep a document's arrays and objects are nested; 0 for a text or a number."""
    deepest = now = 0
    for token in _BRACKET.finditer(text):
        if token[0] in ("[", "{"):
            now += 1
            deepest = max(deepest, now)
        elif token[0] in ("]", "}"):
            now -= 1
    return deepest


def _end_of_brackets(text: str, start: int) -> int:
    depth = 0
    for token in _BRACKET.finditer(text, start):
        if token[0] in ("[", "{"):
            depth += 1
        elif token[0] in ("]", "}"):
            depth -= 1
            if depth == 0:
                return token.end()
    raise ValueError("the document ends too early")
