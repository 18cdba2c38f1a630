"""Rows in Postgres, and the reads of them over HTTP."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from aiohttp import ClientSession
from psycopg.types.json import Json

from schemas.settings import Settings

START = datetime(2021, 1, 1, 9, 15, 27, 243860, UTC)
SECOND = timedelta(seconds=1)


def store(settings: Settings, table: str, rows: Sequence[dict[str, Any]]) -> None:
    """Write rows as the sinks would."""
    with psycopg.connect(settings.dsn) as connection:
        for row in rows:
            names, values = ", ".join(row), ", ".join(f"%({name})s" for name in row)
            connection.execute(f"insert into eye.{table} ({names}) values ({values})".encode(), row)


def a_session_row(number: int = 0, **columns: Any) -> dict[str, Any]:
    row = {
        "session_id": f"s-{number}",
        "applications": ["shop", "blog"],
        "revision": 3,
        "status": "open",
        "started_at": START + number * SECOND,
        "ended_at": START + number * SECOND,
        "event_count": 2,
        "rejected_count": 1,
        "counts_by_type": Json({"page interaction/pageview": 2}),
        "first_event_id": "a",
        "last_event_id": "b",
        "updated_at": START + number * SECOND,
    }
    return row | columns


async def get(client: ClientSession, path: str, **parameters: Any) -> tuple[int, Any]:
    async with client.get(path, params={name.rstrip("_"): str(value) for name, value in parameters.items()}) as answer:
        return answer.status, await answer.json()


def a_stored_event(number: int = 0, **columns: Any) -> dict[str, Any]:
    row = {
        "event_id": uuid.UUID(int=number + 1),
        "application": "shop",
        "session_id": "s-1",
        "category": "page interaction",
        "name": "pageview",
        "occurred_at": START + number * SECOND,
        "received_at": START + number * SECOND,
        "schema_version": 1,
        "data": '{"path": "/"}',
    }
    return row | columns


def store_events(settings: Settings, rows: Sequence[dict[str, Any]]) -> None:
    store(settings, "events", rows)
    keys = ("event_id", "application", "occurred_at")
    store(settings, "event_keys", [{key: row[key] for key in keys} for row in rows])


def a_rejected_row(number: int = 0, **columns: Any) -> dict[str, Any]:
    codes = columns.get("codes", ["bad_value"])
    row = {
        "event_id": uuid.UUID(int=number + 1),
        "application": "shop",
        "session_id": None,
        "category": "page interaction",
        "name": "pageview",
        "timestamp": "yesterday",
        "received_at": START + number * SECOND,
        "codes": codes,
        "errors": Json([{"code": code, "path": "$.name", "message": "no"} for code in codes]),
        "raw": '{"name": "?"}',
        "raw_encoding": "utf-8",
        "raw_truncated": False,
    }
    return row | columns


async def pages(client: ClientSession, path: str, member: str, **parameters: Any) -> list[list[Any]]:
    """Follow `next` to the end."""
    found: list[list[Any]] = []
    cursor: dict[str, str] = {}
    while True:
        status, answer = await get(client, path, **parameters, **cursor)
        assert status == 200
        found.append(answer[member])
        if answer["next"] is None:
            return found
        cursor = {"cursor": answer["next"]}
