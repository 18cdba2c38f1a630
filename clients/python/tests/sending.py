"""Events as the tests send them, with clients that do not make a test wait."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from eye_client.sender import Sender

KEY = "test-key"
SLOW_KEY = "slow-key"

PAGE = {"host": "www.example.com", "path": "/"}

QUICK: dict[str, Any] = {"linger": 0.01, "min_backoff": 0.05, "max_backoff": 0.5}
"""Options of a client in a test."""


def view(sender: Sender, session_id: str = "s-1", **fields: Any) -> str | None:
    """Send a page view; returns its event_id."""
    return sender.send("page interaction", "pageview", session_id, PAGE, **fields)


def views(sender: Sender, number: int, session_id: str = "s-1") -> list[str]:
    """Send page views; returns the ids of those that were taken."""
    return list(_taken(view(sender, session_id) for _ in range(number)))


def _taken(ids: Iterator[str | None]) -> Iterator[str]:
    return (event_id for event_id in ids if event_id)
