"""Rows of events in Postgres."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection
from typing import Any

import psycopg
from psycopg.rows import dict_row

from schemas.settings import Settings

_ROWS = "select * from eye.events where event_id::text = any(%s) order by event_id"


async def rows_of(settings: Settings, event_ids: Collection[str], seconds: float = 30) -> list[dict[str, Any]]:
    """Return the rows of events once each has one, in the order of their ids; fails after so many seconds."""
    deadline = asyncio.get_running_loop().time() + seconds
    async with await psycopg.AsyncConnection.connect(settings.dsn, row_factory=dict_row, autocommit=True) as connection:
        while True:
            rows = await (await connection.execute(_ROWS, (list(event_ids),))).fetchall()
            missing = set(event_ids) - {str(row["event_id"]) for row in rows}
            if not missing:
                return rows
            assert asyncio.get_running_loop().time() < deadline, f"not stored: {sorted(missing)}"
            await asyncio.sleep(0.1)


async def times_stored(settings: Settings, event_ids: Collection[str]) -> Counter[int]:
    """Return how many events have how many rows, once each has one: `{1: n}` where all is well."""
    rows = await rows_of(settings, event_ids)
    return Counter(Counter(str(row["event_id"]) for row in rows).values())
