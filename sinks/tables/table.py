"""A table that a sink fills."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from psycopg import AsyncConnection

from schemas.record import RawRecord
from sinks.tables.row import Refused, Row, Rows
from sinks.tables.writer import Writer

R = TypeVar("R", bound=Row)


@dataclass(frozen=True, slots=True)
class Table(Generic[R]):
    """A table of schema eye: the sink that fills it, how its rows are made and written, what is done with refusals."""

    name: str
    sink: str
    make_rows: Callable[[Iterable[RawRecord]], Rows[R]]
    writer: Writer[R]
    set_aside: Callable[[AsyncConnection, Sequence[Refused]], Awaitable[None]]
