"""Applications that send, some of them badly, and data people who read: a load for a running stack.

`make load` runs it headless; `EYE_KEY` is a key with the scopes write and read.
"""

from __future__ import annotations

import json
import os
import random
import uuid
from datetime import UTC, datetime
from typing import Any

from locust import FastHttpUser, between, task

_KEY = {"Authorization": f"Bearer {os.environ.get('EYE_KEY', '')}"}
_SESSIONS = [str(uuid.UUID(int=random.getrandbits(128), version=4)) for _ in range(5_000)]


def _event(**changes: Any) -> dict[str, Any]:
    return {
        "session_id": random.choice(_SESSIONS),
        "category": "page interaction",
        "name": "pageview",
        "timestamp": datetime.now(UTC).isoformat(),
        "data": {"host": "www.example.com", "path": f"/products/{random.randrange(1000)}"},
    } | changes


class SingleEvents(FastHttpUser):
    """An application that sends each event as it happens."""

    weight = 20
    wait_time = between(0.05, 0.15)

    @task(50)
    def send(self) -> None:
        self.client.post("/events/", json=_event(), headers=_KEY, name="one event")

    @task(1)
    def send_an_invalid_event(self) -> None:
        """Send an event for the stream to reject: the gateway takes it."""
        self.client.post("/events/", json=_event(data={"path": 7}), headers=_KEY, name="one invalid event")

    @task(1)
    def send_what_has_no_session(self) -> None:
        """Send an event for the gateway to refuse."""
        with self.client.post(
            "/events/", json=_event(session_id=""), headers=_KEY, name="one refused event", catch_response=True
        ) as answer:
            if answer.status_code == 422:
                answer.success()


class Batches(FastHttpUser):
    """An application that collects events."""

    weight = 3
    wait_time = between(0.5, 1.5)

    @task
    def send(self) -> None:
        body = "\n".join(json.dumps(_event()) for _ in range(100))
        headers = _KEY | {"Content-Type": "application/x-ndjson"}
        self.client.post("/events/", data=body, headers=headers, name="a batch of 100")


class Readers(FastHttpUser):
    """Data people: sessions, events, errors."""

    weight = 1
    wait_time = between(0.5, 1.5)

    @task(3)
    def read_a_session(self) -> None:
        self.client.get(f"/events?session_id={random.choice(_SESSIONS)}", headers=_KEY, name="events of a session")

    @task
    def read_the_latest(self) -> None:
        self.client.get("/sessions?status=open&limit=20", headers=_KEY, name="open sessions")

    @task
    def read_errors(self) -> None:
        self.client.get("/errors/summary", headers=_KEY, name="summary of errors")
