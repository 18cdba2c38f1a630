"""Split the body of a request into its events, each with its own bytes exactly as sent.

Pure. A fast reader takes nearly every body in one pass; `tolerant_reader` reads the others.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import msgspec

from gateway.ingest import json_scanner, tolerant_reader
from gateway.ingest.results import OK, Status
from gateway.ingest.tolerant_reader import EventList
from gateway.problems import BadRequest, ProblemCode, TooLarge
from schemas.event import Text
from schemas.record import to_millis
from schemas.timestamp import parse_timestamp
from schemas.verdict import Code, Violation

MAX_COMMAS_PER_EVENT = 100
"""The fast reader splits lists of any length, so a body with more commas than this is left to the tolerant reader."""

_SPACE = b" \t\r\n"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Item(msgspec.Struct, gc=False):
    """One event of a request, its bytes as sent. `ok`: its session_id is there, and it can be stored."""

    value: bytes
    status: Status
    session_id: str | None = None
    event_id: str | None = None
    errors: list[Violation] = []


class ParsedBody(msgspec.Struct):
    """The events of one body, in their order. `single`: the body was one event, no list of any form.

    `sent_at`: the sender's clock when it sent the body, in milliseconds since 1970, where the body says so.
    """

    items: list[Item]
    single: bool = False
    sent_at: int | None = None


class _Routed(msgspec.Struct, gc=False):
    session_id: Text
    event_id: Text | None = None


_NO_SENT_AT = msgspec.Raw(b"null")


class _List(msgspec.Struct):
    events: list[msgspec.Raw]
    session_id: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    sent_at: msgspec.Raw = _NO_SENT_AT


_routed = msgspec.json.Decoder(_Routed)
_list = msgspec.json.Decoder(_List)
_array = msgspec.json.Decoder(list[msgspec.Raw])
_any = msgspec.json.Decoder(Any)
_NOT_TAKEN = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Reader:
    """Reads bodies within the limits of one deployment."""

    def __init__(self, *, max_events: int, max_event_bytes: int) -> None:
        self._max_events = max_events
        self._max_event_bytes = max_event_bytes

    def read(self, body: bytes) -> ParsedBody:
        """Read one event, an array of events, or an object with `events` and no session_id.

        Raises BadRequest where the body is no JSON, and TooLarge beyond the number of events.
        """
        body = trimmed(body)
        routed = _route(body) if body.startswith(b"{") else None
        found = self._split(body) if routed is None else None
        if found is None:
            return ParsedBody([self._item(body, routed)], single=True)
        items = [self._item(value, _route(value)) for value in map(bytes, found.events)]
        return ParsedBody(items, sent_at=_millis(found.sent_at))

    def read_fast(self, body: bytes) -> ParsedBody | None:
        """Read a body by the fast reader alone; None where an event needs the tolerant reader, or is refused."""
        body = trimmed(body)
        routed = _route(body) if body.startswith(b"{") else None
        if routed is not None:
            return ParsedBody([self._item(body, routed)], single=True) if len(body) <= self._max_event_bytes else None
        found = self._split_fast(body)
        if found is None or not found.events or len(found.events) > self._max_events:
            return None
        items = []
        for value in map(bytes, found.events):
            routed = _route(value)
            if routed is None or len(value) > self._max_event_bytes:
                return None
            items.append(self._item(value, routed))
        return ParsedBody(items, sent_at=None if found.sent_at is None else _millis(found.sent_at))

    def read_lines(self, body: bytes) -> ParsedBody:
        """Read NDJSON: each line is an event of its own, whatever the others are; empty lines are none.

        Raises TooLarge beyond the number of events.
        """
        items: list[Item] = []
        for line in _lines(body):
            if len(items) == self._max_events:
                raise self._too_many()
            items.append(self._item(line, _route(line)))
        return ParsedBody(items)

    def _split(self, body: bytes) -> EventList | None:
        """Return the events of a list of either form; None where the body is one value."""
        try:
            found = self._split_fast(body) or tolerant_reader.split(body, self._max_events)
        except json_scanner.TooManyElements:
            raise self._too_many() from None
        except ValueError as error:
            raise BadRequest(f"The body is no JSON: {error}", code=ProblemCode.NOT_JSON) from None
        if found is not None and len(found.events) > self._max_events:
            raise self._too_many()
        return found

    def _split_fast(self, body: bytes) -> EventList | None:
        """Split a list; None where this is no list, or not one for the fast reader."""
        if body.count(b",") > self._max_events * MAX_COMMAS_PER_EVENT:
            return None
        try:
            if body.startswith(b"["):
                return EventList(_array.decode(body), None)
            found = _list.decode(body)
            if found.session_id is not msgspec.UNSET:
                return None
            return EventList(found.events, None if found.sent_at is _NO_SENT_AT else _any.decode(found.sent_at))
        except _NOT_TAKEN:
            return None

    def _item(self, value: bytes, routed: _Routed | None) -> Item:
        if routed is None:
            session_id, event_id, errors = tolerant_reader.read_ids(value)
            item = Item(value, Status.INVALID if errors else OK, session_id, event_id, errors)
        else:
            item = Item(value, OK, routed.session_id, routed.event_id)
        if len(value) > self._max_event_bytes:
            message = f"{len(value)} bytes; the limit is {self._max_event_bytes}"
            item.status, item.errors = Status.TOO_LARGE, [Violation(Code.TOO_LARGE, "$", message)]
        return item

    def _too_many(self) -> TooLarge:
        message = f"A request has at most {self._max_events} events: send more requests."
        return TooLarge(message, code=ProblemCode.TOO_MANY_EVENTS)


def _route(value: bytes) -> _Routed | None:
    """Recognise an event that can be routed; None leaves it to the tolerant reader."""
    try:
        routed = _routed.decode(value)
    except _NOT_TAKEN:
        return None
    return None if _is_odd(routed.session_id) or (routed.event_id and _is_odd(routed.event_id)) else routed


def _millis(sent_at: object) -> int | None:
    """Return a sender's clock in milliseconds since 1970; None where it is no time, which is no reason to refuse."""
    try:
        return to_millis(parse_timestamp(sent_at)) if isinstance(sent_at, str) else None
    except ValueError:
        return None


def _is_odd(identifier: str) -> bool:
    """Return whether an identifier is one that can't be stored, or nothing but blanks."""
    return "\0" in identifier or identifier.isspace()


def trimmed(body: bytes) -> bytes:
    """Return a body without the byte order mark and the white space around it."""
    return body.removeprefix(_BYTE_ORDER_MARK).strip(_SPACE)


def _lines(body: bytes) -> Iterator[bytes]:
    for line in io.BytesIO(body.removeprefix(_BYTE_ORDER_MARK)):
        stripped = line.strip(_SPACE)
        if stripped:
            yield stripped
