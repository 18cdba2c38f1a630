"""compose.yaml as an operator uses it: up, a key, the sample, more workers, and each service killed in turn."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shlex
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import pytest

from eye.local.remembered_settings import free_port
from tests.faults.cluster import Figures, Load
from tests.support.examples import example
from tests.support.pipeline import numbered_events, poll

ROOT = Path(__file__).parents[2]
SERVICES = ("stream", "sinks", "postgres", "kafka", "gateway")
UP, ADD_KEY, SEND, MORE, DOWN = (
    shlex.split(line, comments=True) for line in example("docs/operators.md", "docker compose up").script.splitlines()
)
"""The commands that operators are shown."""

RATE = 200
SESSIONS = 50

pytestmark = [pytest.mark.containers, pytest.mark.timeout(1500)]


class Composed:
    """A project of its own, on a port of its own."""

    def __init__(self) -> None:
        self.project = f"eye-test-{secrets.token_hex(3)}"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.key = ""

    def type(self, command: list[str], *words: str) -> str:
        """Run a command of the docs, with more words behind it."""
        assert command[:2] == ["docker", "compose"]
        return self.compose(*command[2:], *words)

    def compose(self, *words: str) -> str:
        """Run `docker compose`; returns what it prints. Fails the test with what it said."""
        variables = os.environ | {"EYE_GATEWAY_PORT": str(self.port)}
        command = ["docker", "compose", "--project-name", self.project, *words]
        done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(words)}:\n{done.stderr[-3000:]}"
        return done.stdout

    def query(self, query: str) -> list[str]:
        """Return the rows that a query finds."""
        psql = ("psql", "--username", "postgres", "--dbname", "eye", "--tuples-only", "--no-align", "--command", query)
        return self.compose("exec", "-T", "postgres", *psql).split()

    def count(self, query: str) -> int:
        """Return the number that a query finds."""
        return int(self.query(query)[0])


@pytest.fixture(scope="module")
def stack() -> Iterator[Composed]:
    composed = Composed()
    try:
        composed.type(UP)
        composed.key = composed.type(ADD_KEY).strip()
        yield composed
    finally:
        composed.type(DOWN, "--volumes", "--timeout", "20")


def test_the_sample_goes_from_the_door_to_the_rows(stack: Composed) -> None:
    here = {"http://127.0.0.1:8080": stack.url, "KEY": stack.key, ".venv/bin/eye": f"{sys.prefix}/bin/eye"}
    command = [*(here.get(word, word) for word in SEND), "--json"]
    sent = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

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


async def test_each_service_can_be_killed_under_load_and_nothing_is_lost(stack: Composed) -> None:
    await asyncio.to_thread(stack.type, MORE)
    figures, killed = Figures(), asyncio.Event()
    load = Load(stack.url, figures, stack.key)
    events = takewhile(lambda _: not killed.is_set(), numbered_events(10**6, SESSIONS))

    sending = asyncio.create_task(load.send(events, RATE))
    for service in SERVICES:
        await asyncio.to_thread(stack.compose, "kill", service)
        await asyncio.to_thread(stack.type, MORE)
    killed.set()
    await sending

    await asyncio.to_thread(poll, lambda: stack.count(ROWS) >= len(load.acknowledged), 300, "all rows")
    stored = Counter(stack.query(IDS))
    figures.acknowledged, figures.rows = len(load.acknowledged), stored.total()
    figures.lost = len(load.acknowledged.keys() - stored.keys())
    figures.doubled = stored.total() - len(stored)
    figures.out_of_order = stack.count(OUT_OF_ORDER)
    figures.sessions_wrong = stack.count(SESSIONS_WRONG)
    figures.show()
    assert set(figures.broken()) <= {"cut"}, figures
    assert stored.keys() == load.acknowledged.keys()


ROWS = "select count(*) from eye.events where session_id like 'session-%'"
IDS = "select event_id from eye.events where session_id like 'session-%'"
OUT_OF_ORDER = """
    select count(*) filter (where late) from (
        select occurred_at < lag(occurred_at) over (partition by session_id order by source_offset) as late
        from eye.events where session_id like 'session-%')
"""
SESSIONS_WRONG = """
    select count(*) from eye.sessions s
    where event_count <> (select count(*) from eye.events e where e.session_id = s.session_id)
"""
