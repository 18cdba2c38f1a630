"""Events as the tests send them, with clients that do not make a test wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tests.support.door import Conduct, Pass

from eye_client import Eye
from eye_client.sender import Sender

KEY = "test-key"
SLOW_KEY = "slow-key"

PAGE = {"host": "www.example.com", "path": "/"}

QUICK: dict[str, Any] = {"linger": 0.01, "min_backoff": 0.05, "max_backoff": 0.5, "refused_backoff": 0.5}
"""Options of a client in a test."""

FLUSH_SECONDS = 90.0


def view(sender: Sender, session_id: str = "s-1", **fields: Any) -> str | None:
    """Send a page view; returns its event_id."""
    return sender.send("page interaction", "pageview", session_id, PAGE, **fields)


def views(sender: Sender, number: int, session_id: str = "s-1") -> list[str]:
    """Send page views; returns the ids of those that were taken."""
    return list(_taken(view(sender, session_id) for _ in range(number)))


def _taken(ids: Iterator[str | None]) -> Iterator[str]:
    return (event_id for event_id in ids if event_id)


async def flushed(eye: Eye) -> None:
    """Wait, beside the event loop, until each event has its last word."""
    assert await asyncio.to_thread(eye.flush, FLUSH_SECONDS), eye.counts()


def first(conduct: Sequence[Conduct]) -> Callable[[], Conduct]:
    """Return what becomes of the first requests; all others pass."""
    turns = iter(conduct)
    return lambda: next(turns, Pass())
