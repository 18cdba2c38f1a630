"""Listings: queries that are read page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from gateway.openapi_parts import Json, call
from gateway.query.cursor import Place, decode_cursor, encode_cursor
from gateway.query.database import Database
from gateway.query.members import FIELDS, data_conditions, data_values, inner_columns, inner_values, project
from gateway.query.parameters import (
    CURSOR,
    DATA,
    DATA_FILTER,
    DEFAULT_LIMIT,
    FORMAT,
    LIMIT,
    MAX_LIMIT,
    ORDER,
    Parameter,
    bad_parameter,
    where,
)

Row = Mapping[str, Any]
"""A row by the names of its columns."""

EXPORT_TYPES = {"ndjson": "application/x-ndjson", "csv": "text/csv"}
"""Content types of answers that have all items, by format."""

READ_PROBLEMS = (400, 401, 403, 503)
"""Statuses of the problems that each read may answer with."""

ONLY = "only"
"""The name among the given parameters of the application whose items alone may be read."""

S = TypeVar("S", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A query that is read page by page.

    `name`: the member of the answer that has the items; a cursor holds for listings of the same name and order.
    `own`: the condition of items that concern the application `%(only)s`, where only these may be read.
    `columns`: the members of an item. `data`: the column of the payload, where there is one to look into.
    `order`: the columns that it is sorted by; `after`: the values of the place where a page ended, in the same order.
    """

    name: str
    select: str
    source: str
    columns: tuple[str, ...]
    data: str = ""
    filters: tuple[Parameter, ...]
    always: tuple[str, ...] = ()
    own: str
    order: tuple[str, ...]
    after: tuple[str, ...]
    item: Callable[[Row], msgspec.Struct]
    place: Callable[[Row], Place]

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Return all parameters that a request may have."""
        inside = (DATA_FILTER,) if self.data else ()
        return (*self.filters, *inside, FIELDS, FORMAT, ORDER, LIMIT, CURSOR)

    def sql(self, given: Mapping[str, Any], *, resumed: bool = False) -> str:
        """Return the query for the parameters that are given."""
        order = given.get("order", "asc")
        comparison = "<" if order == "desc" else ">"
        after = [f"({', '.join(self.order)}) {comparison} ({', '.join(self.after)})"] if resumed else []
        inside = data_conditions(self.data, given.get(DATA_FILTER.name, ()))
        own = [self.own] if given.get(ONLY) is not None else []
        conditions = where(self.filters, given, *self.always, *own, *inside, *after)
        columns = ", ".join(f"{column} {order}" for column in self.order)
        more = inner_columns(self.data, given.get(FIELDS.name, ()))
        return f"{self.select}{more} from {self.source}{conditions} order by {columns} limit %(limit)s"

    async def page(self, database: Database, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the page that the parameters ask for. Raises BadRequest, and Unavailable as the database does."""
        limit = given.get(LIMIT.name, DEFAULT_LIMIT)
        if limit > MAX_LIMIT:
            raise bad_parameter(f"limit: a page has at most {MAX_LIMIT} items.")
        self.members(given)
        found = await self._rows(database, given, limit + 1, self._begin(given))
        following = encode_cursor(self._cursors(given), self.place(found[limit - 1])) if len(found) > limit else None
        return {self.name: self._items(found[:limit], given), "next": following}

    async def pages(self, database: Database, given: Mapping[str, Any]) -> AsyncIterator[Sequence[Any]]:
        """Yield all items that the parameters ask for, at most MAX_LIMIT at once. Raises as `page` does.

        Look at the fields with `members` first. Each page is a query of its own: nobody who reads slowly holds a
        transaction.
        """
        left, place = given.get(LIMIT.name), self._begin(given)
        while left is None or left > 0:
            size = MAX_LIMIT if left is None else min(MAX_LIMIT, left)
            found = await self._rows(database, given, size, place)
            yield self._items(found, given)
            if len(found) < size:
                return
            place = self.place(found[-1])
            left = None if left is None else left - size

    def members(self, given: Mapping[str, Any]) -> tuple[str, ...]:
        """Return the names of the members that the parameters ask for. Raises BadRequest for an unknown one."""
        names: tuple[str, ...] = given.get(FIELDS.name, self.columns)
        for name in names:
            if name not in self.columns and not (self.data and name.startswith(DATA)):
                raise bad_parameter(
                    f"fields: {name} is none of {', '.join(self.columns)}{', data.<path>' * bool(self.data)}."
                )
        return names

    def _begin(self, given: Mapping[str, Any]) -> Place | None:
        return decode_cursor(self._cursors(given), given["cursor"]) if "cursor" in given else None

    def _cursors(self, given: Mapping[str, Any]) -> str:
        """Return the name of the listing that its cursors hold for."""
        return f"{self.name} desc" if given.get("order") == "desc" else self.name

    async def _rows(
        self, database: Database, given: Mapping[str, Any], limit: int, place: Place | None
    ) -> Sequence[Row]:
        wanted: dict[str, Any] = {**given, "limit": limit}
        wanted |= data_values(given.get(DATA_FILTER.name, ())) | inner_values(given.get(FIELDS.name, ()))
        if place is not None:
            wanted |= {"moment": place.moment, "id": place.id, "application": place.application}
        return await database.rows(self.sql(given, resumed=place is not None), wanted)

    def _items(self, rows: Sequence[Row], given: Mapping[str, Any]) -> list[Any]:
        if FIELDS.name not in given:
            return [self.item(row) for row in rows]
        return [project(self.item(row), row, given[FIELDS.name]) for row in rows]

    def call(self, summary: str, schema: str, *path_parameters: Json) -> Json:
        """Return the call as the OpenAPI document has it."""
        parameters = [*path_parameters, *(parameter.openapi() for parameter in self.parameters)]
        described = call(summary, schema, READ_PROBLEMS, parameters)
        lines = {"schema": {"type": "string"}}
        described["responses"]["200"]["content"] |= dict.fromkeys(EXPORT_TYPES.values(), lines)
        return described


def to_struct(row: Row, struct: type[S], *json_columns: str) -> S:
    """Return a row as a struct; JSON that Postgres wrote stays as it is, numbers of any size included."""
    fields = {name: row[name] for name in struct.__struct_fields__ if name in row}
    for name in json_columns:
        fields[name] = None if row[name] is None else msgspec.Raw(row[name])
    return struct(**fields)
