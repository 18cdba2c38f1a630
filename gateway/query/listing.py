"""Listings: queries that are read page by page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from gateway.openapi_parts import Json, call
from gateway.query.cursor import Place, decode_cursor, encode_cursor
from gateway.query.database import Database
from gateway.query.parameters import CURSOR, DEFAULT_LIMIT, LIMIT, ORDER, Parameter, where

Row = Mapping[str, Any]
"""A row by the names of its columns."""

READ_PROBLEMS = (400, 401, 403, 503)
"""Statuses of the problems that each read may answer with."""

S = TypeVar("S", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A query that is read page by page.

    `name`: the member of the answer that has the items; a cursor holds for listings of the same name and order.
    `order`: the columns that it is sorted by; `after`: the values of the place where a page ended, in the same order.
    """

    name: str
    select: str
    filters: tuple[Parameter, ...]
    always: tuple[str, ...] = ()
    order: tuple[str, ...]
    after: tuple[str, ...]
    item: Callable[[Row], msgspec.Struct]
    place: Callable[[Row], Place]

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Return all parameters that a request may have."""
        return (*self.filters, ORDER, LIMIT, CURSOR)

    def sql(self, given: Mapping[str, object], *, resumed: bool = False) -> str:
        """Return the query for the parameters that are given."""
        order = given.get("order", "asc")
        comparison = "<" if order == "desc" else ">"
        after = [f"({', '.join(self.order)}) {comparison} ({', '.join(self.after)})"] if resumed else []
        columns = ", ".join(f"{column} {order}" for column in self.order)
        return f"{self.select}{where(self.filters, given, *self.always, *after)} order by {columns} limit %(limit)s"

    async def page(self, database: Database, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the page that the parameters ask for. Raises BadRequest, and Unavailable as the database does."""
        limit = given.get("limit", DEFAULT_LIMIT)
        wanted = {**given, "limit": limit + 1}
        listing = f"{self.name} desc" if given.get("order") == "desc" else self.name
        if "cursor" in given:
            place = decode_cursor(listing, given["cursor"])
            wanted |= {"moment": place.moment, "id": place.id, "application": place.application}
        found = await database.rows(self.sql(given, resumed="cursor" in given), wanted)
        following = encode_cursor(listing, self.place(found[limit - 1])) if len(found) > limit else None
        return {self.name: [self.item(row) for row in found[:limit]], "next": following}

    def call(self, summary: str, schema: str, *path_parameters: Json) -> Json:
        """Return the call as the OpenAPI document has it."""
        parameters = [*path_parameters, *(parameter.openapi() for parameter in self.parameters)]
        return call(summary, schema, READ_PROBLEMS, parameters)


def to_struct(row: Row, struct: type[S], *json_columns: str) -> S:
    """Return a row as a struct; JSON that Postgres wrote stays as it is, numbers of any size included."""
    fields = {name: row[name] for name in struct.__struct_fields__ if name in row}
    for name in json_columns:
        fields[name] = None if row[name] is None else msgspec.Raw(row[name])
    return struct(**fields)
