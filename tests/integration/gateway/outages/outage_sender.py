"""Numbered events for tests of outages, and what the gateway says of its spool."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

from aiohttp import ClientSession

from tests.integration.gateway.test_json_builders import (
    an_event,
    post,
)
from tests.support.stopwatch import Stopwatch


class Sender:
    """Sends numbered events of some sessions; knows which were accepted."""

    def __init__(self, client: ClientSession, prefix: str = "") -> None:
        self._client = client
        self._prefix = prefix
        self.sent = 0
        self.accepted: list[tuple[str, int]] = []
        self.slowest = 0.0

    def go_on(self, client: ClientSession) -> None:
        """Send what comes to another gateway."""
        self._client = client

    async def send(self, count: int = 10) -> int:
        """Send events in one request; returns the status."""
        events = []
        for _ in range(count):
            self.sent += 1
            event_id = f"{self._prefix}{self.sent}"
            events.append(an_event(session_id=f"{self._prefix}s{self.sent % 5}", event_id=event_id, number=self.sent))
        watch = Stopwatch()
        status, answer = await post(self._client, events)
        self.slowest = max(self.slowest, watch.seconds)
        self.accepted += [
            (event["session_id"], event["number"])
            for event, result in zip(events, answer["results"], strict=True)
            if result["status"] == "ok"
        ]
        return status


def by_session(records: list[Any]) -> dict[str, list[int]]:
    """Return the numbers of each session's events in the order of the topic, each when it came first."""
    found: defaultdict[str, list[int]] = defaultdict(list)
    for record in records:
        number = json.loads(record.value)["number"]
        if number not in found[record.key.decode()]:
            found[record.key.decode()].append(number)
    return found


def check(records: list[Any], accepted: list[tuple[str, int]], *, doubled: int = 0) -> None:
    """All that was accepted is there, in order, and at most so many records twice."""
    found = by_session(records)
    assert {session: sorted(numbers) for session, numbers in found.items()} == found
    assert set(accepted) <= {(session, number) for session, numbers in found.items() for number in numbers}
    assert len(records) - sum(map(len, found.values())) <= doubled


async def readiness(client: ClientSession) -> tuple[int, dict[str, Any]]:
    async with client.get("/readyz") as answer:
        return answer.status, await answer.json()


async def is_drained(client: ClientSession) -> bool:
    _, found = await readiness(client)
    return bool(found["checks"]["kafka"] == "ok" and found["spool"]["records"] == 0)


async def is_unreachable(client: ClientSession) -> bool:
    return bool((await readiness(client))[1]["checks"]["kafka"] != "ok")
