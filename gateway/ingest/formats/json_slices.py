"""The parts of a JSON document, each exactly as it was sent.

A fast reader takes nearly everything; what it does not take (NaN, half surrogate pairs, bytes that are no UTF-8) is
taken apart by the lenient scanner.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable

import msgspec

from gateway.ingest import json_scanner
from gateway.ingest.json_scanner import TooManyElements, nothing_follows, text_of
from gateway.problems import BadRequest, ProblemCode, TooLarge
from schemas import json_reader
from schemas.event import text_fault

Members = dict[str, bytes]
"""The members of an object by name, the last one of each name."""

MAX_COMMAS = 500_000
"""The fast reader has no limit to the members it takes; a document with more commas goes the careful way."""

_NULL = b"null"
_NOT_TAKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_ODD_IDS = uuid.uuid5(uuid.NAMESPACE_URL, "urn:the-eye:identifier")

_object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_array = msgspec.json.Decoder(list[msgspec.Raw])
_string = msgspec.json.Decoder(str)
encode = msgspec.json.Encoder().encode


def members(value: bytes) -> Members | None:
    """Return an object's members; None for any other value. Raises ValueError where it is no JSON."""
    if value.startswith(b"{") and value.count(b",") <= MAX_COMMAS:
        try:
            return {name: bytes(raw) for name, raw in _object.decode(value).items()}
        except _NOT_TAKEN:
            pass
    text = text_of(value)
    if not text.startswith("{"):
        nothing_follows(text, json_scanner.end_of_value(text, 0))
        return None
    spans, end = json_scanner.members(text, 0)
    nothing_follows(text, end)
    return {name: _slice(text, span) for name, span in spans.items()}


def elements(value: bytes, limit: int) -> list[bytes] | None:
    """Return an array's elements; None for any other value.

    Raises ValueError where it is no JSON, TooManyElements beyond the limit.
    """
    if not value.startswith(b"["):
        return None
    if value.count(b",") <= MAX_COMMAS:
        try:
            raws = _array.decode(value)
        except _NOT_TAKEN:
            pass
        else:
            if len(raws) > limit:
                raise TooManyElements
            return [bytes(raw) for raw in raws]
    text = text_of(value)
    spans, end = json_scanner.elements(text, 0, limit)
    nothing_follows(text, end)
    return [_slice(text, span) for span in spans]


def body_members(body: bytes) -> Members | None:
    """Return the members of a body that is an object; None for another value. Raises BadRequest where it is no JSON."""
    try:
        return members(body)
    except ValueError as error:
        raise _no_json(error) from None


def body_elements(value: bytes, limit: int) -> list[bytes] | None:
    """Return the elements of a body's array; None for another value.

    Raises BadRequest where it is no JSON, TooLarge beyond the limit.
    """
    try:
        return elements(value, limit)
    except TooManyElements:
        message = f"A request has at most {limit} events: send more requests."
        raise TooLarge(message, code=ProblemCode.TOO_MANY_EVENTS) from None
    except ValueError as error:
        raise _no_json(error) from None


def given(found: Members) -> Members:
    """Return the members that are not null."""
    return {name: value for name, value in found.items() if value != _NULL}


def quoted(text: str) -> bytes:
    """Return a text as JSON, half surrogate pairs as escapes."""
    try:
        return encode(text)
    except UnicodeEncodeError:
        return json.dumps(text).encode()


def joined(found: Members) -> bytes:
    """Return the object that has these members."""
    return b"{%b}" % b",".join(b"%b:%b" % (quoted(name), value) for name, value in found.items())


def without(value: bytes, found: Members, *names: str) -> bytes:
    """Return an object, `found` being its members, without some of them; as it was sent where it has none of these."""
    if not any(name in found for name in names):
        return value
    return joined({name: part for name, part in found.items() if name not in names})


def object_members(value: bytes | None) -> Members:
    """Return the members of a part of an event that are not null; none where it is no object."""
    if value is None or not value.startswith(b"{"):
        return {}
    try:
        return given(members(value) or {})
    except ValueError:
        return {}


def string(value: bytes | None) -> str | None:
    """Return what a JSON string says, half surrogate pairs included; None for anything else."""
    if value is None or not value.startswith(b'"'):
        return None
    try:
        return _string.decode(value)
    except _NOT_TAKEN:
        read = json_reader.read_at(text_of(value), 0)[0]
        return read if isinstance(read, str) else None


def identifier(field: str, value: bytes | None) -> str | None:
    """Return an id that a sender made as a text that `field` of our event can hold; None where there is none.

    What is no string counts as its JSON; blanks alone are none. An id that we can't hold, since it is too long or has
    characters that can't be stored, becomes a UUIDv5 of it, always the same.
    """
    if value is None or value == _NULL:
        return None
    text = string(value)
    if text is None:
        text = text_of(value)
    if not text or text.isspace():
        return None
    if text_fault(field, text) is None:
        return text
    return str(uuid.uuid5(_ODD_IDS, text.encode("utf-8", "backslashreplace").decode()))


def first_identifier(field: str, values: Iterable[bytes | None]) -> str | None:
    """Return the first of several ids that is there."""
    return next((found for value in values if (found := identifier(field, value)) is not None), None)


def _slice(text: str, span: json_scanner.Span) -> bytes:
    return text[span.start : span.end].encode("utf-8", "surrogateescape")


def _no_json(error: ValueError) -> BadRequest:
    return BadRequest(f"The body is no JSON: {error}", code=ProblemCode.NOT_JSON)
