"""Query parameters: the parser, the description and, for a filter, the SQL of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from gateway.openapi_parts import Json, query
from gateway.problems import BadRequest, ProblemCode
from schemas.timestamp import TIME_FORMS, parse_time

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000

Parser = Callable[[str], Any]


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


def order(value: str) -> str:
    """Read the order of a listing."""
    if value not in ("asc", "desc"):
        raise ValueError("asc or desc")
    return value


@dataclass(frozen=True, slots=True)
class Parameter:
    """One query parameter. `condition`: the SQL of a filter; `parse` raises ValueError; `schema`: beside string."""

    name: str
    description: str
    condition: str = ""
    parse: Parser = text
    schema: Mapping[str, Any] = field(default_factory=dict)

    def openapi(self) -> Json:
        """Return the parameter as the OpenAPI document has it."""
        return query(self.name, self.description, **self.schema)


LIMIT = Parameter(
    "limit",
    "Most items of a page.",
    parse=limit,
    schema={"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
)
ORDER = Parameter(
    "order",
    "The order of the items; `desc`: the last ones first. A cursor goes on in the order of its page.",
    parse=order,
    schema={"enum": ["asc", "desc"], "default": "asc"},
)
CURSOR = Parameter("cursor", "`next` of the page before.")


def event_type_filters(table: str) -> tuple[Parameter, ...]:
    """Return the filters by event type."""
    return (
        Parameter("category", "Of this category.", f"{table}.category = %(category)s"),
        Parameter("name", "Of this name.", f"{table}.name = %(name)s"),
    )


def time_parameter(name: str, description: str, condition: str = "") -> Parameter:
    """Return a parameter that is a time."""
    return Parameter(name, f"{description} Times: {TIME_FORMS}.", condition, parse_time)


def time_filters(column: str) -> tuple[Parameter, ...]:
    """Return the filters by a range of time: `from` inclusive, `to` exclusive."""
    name = column.rpartition(".")[2]
    return (
        time_parameter("from", f"Where {name} is at or after this time.", f"{column} >= %(from)s"),
        time_parameter("to", f"Where {name} is before this time.", f"{column} < %(to)s"),
    )


def where(filters: Sequence[Parameter], given: Mapping[str, object], *always: str) -> str:
    """Return the where clause of the filters that are given, and of conditions that are always there."""
    conditions = [*always, *(known.condition for known in filters if known.name in given)]
    return f" where {' and '.join(conditions)}" if conditions else ""


def read_parameters(request: web.Request, parameters: Sequence[Parameter]) -> dict[str, Any]:
    """Return the parameters of a request by name; an empty one counts as not given.

    Raises BadRequest for one that is unknown, twice there, or no value of its kind.
    """
    known = {parameter.name: parameter for parameter in parameters}
    given: dict[str, Any] = {}
    for name, value in request.query.items():
        if name not in known:
            raise _bad(f"{name} is no parameter here: there are {', '.join(known) or 'none'}.")
        if name in given:
            raise _bad(f"{name} is there twice.")
        if value == "":
            continue
        try:
            given[name] = known[name].parse(value)
        except ValueError as error:
            raise _bad(f"{name}: {error}.") from None
    return given


def _bad(detail: str) -> BadRequest:
    return BadRequest(detail, code=ProblemCode.BAD_PARAMETER)
