"""compose.yaml as an operator uses it: up, a key, the sample, more workers, and each service killed in turn."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import aiohttp
import pytest

from eye.local.notes import free_port
from tests.pipeline import SAMPLE, Event, batches, ndjson, numbered_events, poll

ROOT = Path(__file__).parents[2]
SERVICES = ("stream", "sinks", "postgres", "kafka", "gateway")
EVENTS_BETWEEN_KILLS = 500

pytestmark = [pytest.mark.containers, pytest.mark.timeout(1500)]


class Composed:
    """A project of its own, on a port of its own."""

    def __init__(self) -> None:
        self.project = f"eye-test-{secrets.token_hex(3)}"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.key = ""

    def compose(self, *words: str) -> str:
        """Run `docker compose`; returns what it prints. Fails the test with what it said."""
        variables = os.environ | {"EYE_GATEWAY_PORT": str(self.port)}
        command = ["docker", "compose", "--project-name", self.project, *words]
        done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(words)}:\n{done.stderr[-3000:]}"
        return done.stdout

    def count(self, query: str) -> int:
        """Return the number that a query finds."""
        psql = ("psql", "--username", "postgres", "--dbname", "eye", "--tuples-only", "--no-align", "--command", query)
        return int(self.compose("exec", "-T", "postgres", *psql))

    async def send(self, events: Sequence[Event]) -> set[str]:
        """Send events, again until all are acknowledged; returns their ids."""
        acknowledged: set[str] = set()
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/x-ndjson"}
        async with aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=10)) as session:
            for batch in batches(events):
                while not acknowledged.issuperset(event["event_id"] for event in batch):
                    try:
                        async with session.post(f"{self.url}/events/", data=ndjson(batch)) as response:
                            answer = await response.json(content_type=None)
                    except (aiohttp.ClientError, TimeoutError):
                        await asyncio.sleep(0.2)
                        continue
                    results = answer.get("results", [])
                    acknowledged.update(result["event_id"] for result in results if result["status"] == "ok")
        return acknowledged


@pytest.fixture(scope="module")
def stack() -> Iterator[Composed]:
    composed = Composed()
    try:
        composed.compose("up", "--build", "--wait")
        composed.key = composed.compose(
            "exec", "-T", "gateway", "eye", "keys", "add", "shop", "--scopes", "write,read"
        ).strip()
        yield composed
    finally:
        composed.compose("down", "--volumes", "--timeout", "20")


def test_the_sample_goes_from_the_door_to_the_rows(stack: Composed) -> None:
    sent = subprocess.run(
        [sys.executable, "-m", "eye", "send", str(SAMPLE), "--url", stack.url, "--key", stack.key, "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert json.loads(sent.stdout) == {"ok": 65}, sent.stderr
    poll(lambda: stack.count("select count(*) from eye.events") == 55, 60, "55 events stored")
    poll(lambda: stack.count("select count(*) from eye.rejected_events") == 8, 60, "8 events rejected")


def test_no_container_may_do_more_than_it_needs(stack: Composed) -> None:
    for service in ("gateway", "stream", "sinks"):
        process = json.loads(stack.compose("exec", "-T", service, "python", "-c", WHAT_MAY_BE_DONE))
        assert process == {"user": 10001, "capabilities": 0, "writable": False, "pip": False}


WHAT_MAY_BE_DONE = """
import importlib.util, json, os, re
status = open("/proc/self/status").read()
print(json.dumps({
    "user": os.getuid(),
    "capabilities": int(re.search(r"CapEff:\\s*(\\w+)", status)[1], 16),
    "writable": os.access("/", os.W_OK) or os.access("/eye", os.W_OK),
    "pip": importlib.util.find_spec("pip") is not None,
}))
"""


async def test_each_service_can_be_killed_and_nothing_is_lost(stack: Composed) -> None:
    before = stack.count("select count(*) from eye.events")
    more = ("--no-recreate", "--scale", "stream=3", "--scale", "sinks=2")
    await asyncio.to_thread(stack.compose, "up", "--wait", *more)
    events = list(numbered_events(EVENTS_BETWEEN_KILLS * (len(SERVICES) + 1), sessions=50))

    sending = asyncio.create_task(stack.send(events))
    for service in SERVICES:
        await asyncio.to_thread(stack.compose, "kill", service)
        await asyncio.to_thread(stack.compose, "up", "--detach", "--no-deps", *more, service)
    acknowledged = await sending

    assert acknowledged == {event["event_id"] for event in events}
    stored = "select count(*) from eye.events"
    await asyncio.to_thread(poll, lambda: stack.count(stored) >= before + len(events), 300, "all rows")
    assert stack.count(stored) == before + len(events)
    assert stack.count("select count(distinct event_id) from eye.events") == before + len(events)
    assert stack.count("select sum(event_count)::bigint from eye.sessions") == before + len(events)
