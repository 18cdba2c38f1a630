"""Query parameters: each known by name and read once; anything else is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from gateway.problems import BadRequest, ProblemCode
from schemas.session import SessionStatus
from schemas.timestamp import parse_timestamp

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000

Parser = Callable[[str], Any]


def read_parameters(request: web.Request, known: Mapping[str, Parser]) -> dict[str, Any]:
    """Return the parameters of a request by name; an empty one counts as not given.

    Raises BadRequest for one that is unknown, twice there, or no value of its kind.
    """
    given: dict[str, Any] = {}
    for name, value in request.query.items():
        if name not in known:
            raise _bad(f"{name} is no parameter here: there are {', '.join(known) or 'none'}.")
        if name in given:
            raise _bad(f"{name} is there twice.")
        if value == "":
            continue
        try:
            given[name] = known[name](value)
        except ValueError as error:
            raise _bad(f"{name}: {error}.") from None
    return given


def text(value: str) -> str:
    """Read any text that Postgres can hold."""
    if "\0" in value:
        raise ValueError("U+0000 is in no stored text")
    return value


def limit(value: str) -> int:
    """Read the size of a page."""
    number = int(value) if value.isascii() and value.isdigit() and len(value) < 10 else 0
    if not 1 <= number <= MAX_LIMIT:
        raise ValueError(f"a number from 1 to {MAX_LIMIT}")
    return number


def version(value: str) -> int:
    """Read the version of an event type."""
    if not (value.isascii() and value.isdigit() and len(value) < 10):
        raise ValueError("a whole number")
    return int(value)


def session_status(value: str) -> str:
    """Read the status of a session."""
    try:
        return SessionStatus(value).value
    except ValueError:
        raise ValueError(f"one of {', '.join(status.value for status in SessionStatus)}") from None


PAGE: Mapping[str, Parser] = {"from": parse_timestamp, "to": parse_timestamp, "limit": limit, "cursor": text}
SESSION_EVENTS: Mapping[str, Parser] = {"category": text, "name": text, **PAGE}
EVENTS: Mapping[str, Parser] = {"session_id": text, "user_id": text, "event_id": text, **SESSION_EVENTS}
ERRORS: Mapping[str, Parser] = {"code": text, **SESSION_EVENTS}
SUMMARY: Mapping[str, Parser] = {"category": text, "name": text, "from": parse_timestamp, "to": parse_timestamp}
SESSIONS: Mapping[str, Parser] = {"status": session_status, **PAGE}
TRACE: Mapping[str, Parser] = {"since": parse_timestamp}
VERSION: Mapping[str, Parser] = {"version": version}


def _bad(detail: str) -> BadRequest:
    return BadRequest(detail, code=ProblemCode.BAD_PARAMETER)
