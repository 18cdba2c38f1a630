"""The events that everything is measured with."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

SESSIONS = 50_000
INVALID_SHARE = 0.01


def events(number: int, *, seed: int = 1, sessions: int = SESSIONS, even: bool = False) -> Iterator[dict[str, object]]:
    """Yield events as an application would send them: 250 to 300 bytes as JSON, 1 % of them invalid.

    Three event types. Sessions follow Zipf's law with exponent 1: the n-th has 1/n of the events that the first
    has; with `even` they take turns. The same seed gives the same events.
    """
    chance = random.Random(seed)
    begin = datetime.now(UTC) - timedelta(hours=1)
    ids = [str(uuid.UUID(int=chance.getrandbits(128), version=4)) for _ in range(sessions)]
    for index in range(number):
        session_id = ids[index % sessions if even else int(sessions ** chance.random()) - 1]
        category, name, data = _payload(chance)
        if chance.random() < INVALID_SHARE:
            data["path"] = 7
        yield {
            "event_id": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
            "session_id": session_id,
            "category": category,
            "name": name,
            "timestamp": (begin + timedelta(milliseconds=index)).replace(tzinfo=None).isoformat(" "),
            "data": data,
        }


def _payload(chance: random.Random) -> tuple[str, str, dict[str, object]]:
    data: dict[str, object] = {"host": "shop.example.com", "path": f"/products/{chance.randrange(10_000)}"}
    match chance.randrange(10):
        case 0:
            form = {"first_name": "Ada", "last_name": "Lovelace"}
            return "form interaction", "submit", data | {"form": form}
        case 1 | 2 | 3:
            return "page interaction", "cta click", data | {"element": "chat bubble"}
        case _:
            return "page interaction", "pageview", data


def encoded(event: dict[str, object]) -> bytes:
    """Return an event as its sender writes it."""
    return json.dumps(event).encode()
