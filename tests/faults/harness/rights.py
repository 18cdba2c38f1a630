"""Commands and routes of a secured deployment, each as the user that it is for, and some as one who lacks a right."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import aiohttp

from eye.local.stack import environment
from gateway.outgoing import OutgoingRecord
from gateway.publish.partition_queues import hash_of_key
from gateway.spool.record import Spooled
from gateway.spool.segment import Segment
from schemas.settings import Settings
from schemas.topics import topic_names
from tests.conftest import KEY
from tests.support.pipeline import an_event

_SECONDS = 180
_TRIES = 5
_ALL = ("--all", "--yes")


class Command(NamedTuple):
    """A command line of a user; `codes` are its exit codes where all is well."""

    user: str
    arguments: tuple[str, ...]
    codes: tuple[int, ...] = (0,)

    def __str__(self) -> str:
        return f"{self.user}: eye {' '.join(self.arguments[:4])}"


def permitted(event_id: str) -> list[Command]:
    """Return the commands that each user may run; one that asks Kafka and Postgres for more than it needs fails."""
    operator = [
        ("lag",), ("ledger",), ("trace", event_id, "--since", "1h"), ("topics", "check"),
        ("retention", "--dry-run"), ("replay", "list"), ("spool", "list"), ("spool", "refused"),
        ("replay", "--to", "sink", "--all", "--dry-run"), ("replay", "--to", "sink", *_ALL),
        ("replay", "--to", "stream", "--all", "--dry-run"), ("replay", "--to", "stream", *_ALL),
        ("replay", "--to", "file", "raw.ndjson", "--all"), ("redrive", "--all", "--dry-run"), ("redrive", *_ALL),
    ]  # fmt: skip
    gateway = [("spool", "list"), ("spool", "drain", "--yes"), ("keys", "list"), ("schemas",)]
    return [
        *(Command("eye-topics", arguments) for arguments in (("topics", "create"), ("topics", "check"), ("migrate",))),
        *(Command("eye-operator", arguments) for arguments in operator),
        *(Command("eye-gateway", arguments) for arguments in gateway),
        Command("eye-sinks", ("retention", "--yes")),
        Command("eye-operator", ("doctor",)),  # last: it has a finding for a spool that is not drained
    ]


def forbidden() -> list[Command]:
    """Return commands whose user lacks a right; each has to say so."""
    return [
        Command("eye-sinks", ("lag",)),
        Command("eye-sinks", ("ledger",)),
        Command("eye-stream", ("topics", "check")),
        Command("eye-sinks", ("topics", "create")),
        Command("eye-sinks", ("replay", "--to", "stream", *_ALL)),
        Command("eye-operator", ("spool", "drain", "--yes")),
        Command("eye-stream", ("doctor",)),
        Command("eye-gateway", ("doctor",)),
    ]


def run_command(command: Command, settings: Mapping[str, Settings]) -> subprocess.CompletedProcess[str]:
    """Run a command as its user."""
    mine = settings[command.user]
    variables = os.environ | environment(mine) | {"COLUMNS": "500"}
    return subprocess.run(
        [sys.executable, "-m", "eye", *command.arguments],
        env=variables, cwd=mine.data_dir, capture_output=True, text=True, timeout=_SECONDS, check=False,
    )  # fmt: skip


def try_commands(settings: Mapping[str, Settings], event_id: str) -> Iterator[tuple[str, object]]:
    """Yield what came of each command: True, or what it said."""
    for command in forbidden():
        if command.arguments[0] == "spool":
            leave_a_spool(settings["eye-gateway"])
        ran = run_command(command, settings)
        said = ran.stdout + ran.stderr
        yield f"says what is missing: {command}", (ran.returncode == 1 and "right" in said) or _end(ran)
    for command in permitted(event_id):
        ran = run_command(command, settings)
        yield f"runs: {command}", ran.returncode in command.codes or _end(ran)


async def try_routes(url: str, event_id: str, session_id: str) -> dict[str, object]:
    """Ask every route that the gateway describes; returns for each True, or the status and what it said."""
    found: dict[str, object] = {}
    async with aiohttp.ClientSession(url, headers={"Authorization": f"Bearer {KEY}"}) as client:
        async with client.get("/openapi.json") as answer:
            paths: dict[str, Any] = (await answer.json())["paths"]
        values = {"event_id": event_id, "session_id": session_id, "category": "page interaction", "name": "pageview"}
        values |= {"file": "swagger-ui.css", "write_key": KEY, "writeKey": KEY}
        for path in paths:
            if "get" in paths[path] and path != "/i":  # /i sends
                found[f"route: GET {path}"] = await _ask(client, path.format(**values))
        async with client.post("/events/validate", json=[an_event()]) as answer:
            found["route: POST /events/validate"] = answer.status == 200 or answer.status
    return found


async def _ask(client: aiohttp.ClientSession, path: str) -> object:
    """Ask for a path, again while the answer is that something is too slow just now; returns True, or what was said."""
    for _ in range(_TRIES):
        async with client.get(path) as answer:
            if answer.status == 200:
                return True
            said = f"{answer.status} {await answer.text()}"[:300]
        if answer.status != 503:
            break
    return said


def leave_a_spool(settings: Settings) -> None:
    """Leave an event as a gateway that has gone does."""
    event = an_event(session_id="left")
    value = json.dumps(event).encode()
    headers = [("event_id", event["event_id"].encode()), ("application", b"shop"), ("received_at", b"1700000000000")]
    path = settings.spool_directory / f"{topic_names(settings).raw}-{1:020d}-gone-1.spool"
    if not path.exists():
        file = Segment.create(path)
        file.append([Spooled(OutgoingRecord(b"left", value, headers, 1_700_000_000_000), hash_of_key(b"left"))])
        file.close()


def _end(ran: subprocess.CompletedProcess[str]) -> str:
    return f"{ran.returncode}: {(ran.stdout + ran.stderr).strip()[-600:]}"
