"""Rows of Postgres as applications read them; JSON that Postgres wrote stays as it is, numbers of any size included."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

import msgspec

from gateway.query.cursor import Place

Row = Mapping[str, Any]
"""A row by the names of its columns."""


class StoredEvent(msgspec.Struct, omit_defaults=True):
    """An accepted event. `status` is told where the event might as well be a rejected one."""

    event_id: str
    application: str
    session_id: str
    category: str
    name: str
    occurred_at: datetime
    received_at: datetime
    schema_version: int
    data: msgspec.Raw
    user_id: str | None = None
    context: msgspec.Raw | None = None
    status: Literal["stored"] | None = None


class RejectedEvent(msgspec.Struct):
    """A rejected event, with every reason and the value as it came."""

    event_id: str
    application: str
    session_id: str | None
    category: str | None
    name: str | None
    timestamp: str | None
    received_at: datetime
    errors: msgspec.Raw
    raw: str
    raw_encoding: str
    raw_truncated: bool
    status: Literal["rejected"] = "rejected"


class Session(msgspec.Struct):
    """The newest summary of a session."""

    session_id: str
    applications: list[str]
    revision: int
    status: str
    started_at: datetime | None
    ended_at: datetime | None
    event_count: int
    rejected_count: int
    counts_by_type: msgspec.Raw
    first_event_id: str | None
    last_event_id: str | None
    updated_at: datetime


class Count(msgspec.Struct):
    """How many rejected events have a code, by their event type as far as it could be read."""

    code: str
    category: str | None
    name: str | None
    count: int


def stored_event(row: Row) -> StoredEvent:
    """Read a row of queries.EVENTS."""
    context = None if row["context"] is None else msgspec.Raw(row["context"])
    return StoredEvent(**_fields(row, StoredEvent) | {"data": msgspec.Raw(row["data"]), "context": context})


def rejected_event(row: Row) -> RejectedEvent:
    """Read a row of queries.REJECTED."""
    return RejectedEvent(**_fields(row, RejectedEvent) | {"errors": msgspec.Raw(row["errors"])})


def session(row: Row) -> Session:
    """Read a row of queries.SESSIONS."""
    return Session(**_fields(row, Session) | {"counts_by_type": msgspec.Raw(row["counts_by_type"])})


def place_of_event(row: Row) -> Place:
    """Return where a row of queries.EVENTS stands in their order."""
    return Place(row["occurred_at"], row["row_id"], row["application"])


def place_of_rejected(row: Row) -> Place:
    """Return where a row of queries.REJECTED stands in their order."""
    return Place(row["received_at"], row["row_id"], row["application"])


def place_of_session(row: Row) -> Place:
    """Return where a row of queries.SESSIONS stands in their order."""
    return Place(row["started_at"], row["session_id"])


def _fields(row: Row, shape: type[msgspec.Struct]) -> dict[str, Any]:
    return {name: row[name] for name in shape.__struct_fields__ if name in row}
