"""Query parameters: the parser, the description and, for a filter, the SQL of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from aiohttp import web

from gateway.openapi_parts import Json, query
from gateway.problems import BadRequest, ProblemCode
from schemas.timestamp import TIME_FORMS, parse_time

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000

DATA = "data."
"""The beginning of a name that means a value inside the payload."""

MAX_LEVELS = 20
MAX_CONDITIONS = 20

Parser = Callable[[str], Any]


def text(value: str) -> str:
    """Read any text that Postgres can hold."""
    if "\0" in value:
        raise ValueError("U+0000 is in no stored text")
    return value


def limit(value: str) -> int:
    """Read a number of items; how many a page may have is for its listing to say."""
    number = int(value) if value.isascii() and value.isdigit() and len(value) < 13 else 0
    if number < 1:
        raise ValueError("a number from 1")
    return number


def parse_path(name: str) -> tuple[str, ...]:
    """Read `data.a.b` as the path of a value inside the payload. Raises ValueError."""
    levels = tuple(text(name).split(".")[1:])
    if not all(levels) or len(levels) > MAX_LEVELS:
        raise ValueError(f"no path like data.a.b, of at most {MAX_LEVELS} levels")
    return levels


def answer_format(value: str) -> str:
    """Read the format of an answer."""
    if value not in ("json", "ndjson", "csv"):
        raise ValueError("json, ndjson or csv")
    return value


def order(value: str) -> str:
    """Read the order of a listing."""
    if value not in ("asc", "desc"):
        raise ValueError("asc or desc")
    return value


class DataCondition(NamedTuple):
    """A condition on the payload: the text of the value at a path equals `value`."""

    path: tuple[str, ...]
    value: str


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
    "Most items of a page; of an answer in another format than JSON, of the whole of it.",
    parse=limit,
    schema={"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
)
ORDER = Parameter(
    "order",
    "The order of the items; `desc`: the last ones first. A cursor goes on in the order of its page.",
    parse=order,
    schema={"enum": ["asc", "desc"], "default": "asc"},
)
FORMAT = Parameter(
    "format",
    "`ndjson` or `csv`: all items, however many, as they are read; without it a page as JSON. "
    "The header Accept may say it as well. An answer that breaks off has no end (chunked encoding): ask again.",
    parse=answer_format,
    schema={"enum": ["json", "ndjson", "csv"], "default": "json"},
)
DATA_FILTER = Parameter(
    f"{DATA}<path>",
    "Events whose payload has this value there, compared as text: `data.host=www.example.com`; several are and-ed.",
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

    Those of DATA_FILTER are a list of DataCondition under its name.

    Raises BadRequest for one that is unknown, twice there, or no value of its kind.
    """
    known = {parameter.name: parameter for parameter in parameters}
    given: dict[str, Any] = {}
    for name, value in request.query.items():
        is_inner = name.startswith(DATA) and DATA_FILTER.name in known
        if name not in known and not is_inner:
            raise bad_parameter(f"{name} is no parameter here: there are {', '.join(known) or 'none'}.")
        if name in given or (is_inner and len(request.query.getall(name)) > 1):
            raise bad_parameter(f"{name} is there twice.")
        if value == "":
            continue
        try:
            if is_inner:
                given.setdefault(DATA_FILTER.name, []).append(DataCondition(parse_path(name), text(value)))
            else:
                given[name] = known[name].parse(value)
        except ValueError as error:
            raise bad_parameter(f"{name}: {error}.") from None
    if len(given.get(DATA_FILTER.name, ())) > MAX_CONDITIONS:
        raise bad_parameter(f"{DATA_FILTER.name} is there more than {MAX_CONDITIONS} times.")
    return given


def bad_parameter(detail: str) -> BadRequest:
    """Return the problem of a parameter that can't be taken."""
    return BadRequest(detail, code=ProblemCode.BAD_PARAMETER)
