"""Helpers of the replay tests: known events, commands beside the live pipeline, and sums of stored rows."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg

from eye.local.stack import environment
from schemas.settings import Settings
from sinks.postgres.migrate import migrate
from tests.integration.eye.test_command import Ran, run_eye
from tests.support.pipeline import Event, Pipeline, ndjson, numbered_events

SESSIONS = 200
BATCH = 1_000
LIVE = "live-"
"""Prefix of the sessions whose events stream in meanwhile; no sum counts them."""

TABLES = {
    "events": "eye.events t where not starts_with(session_id, %s)",
    "event_keys": "eye.event_keys t left join eye.events using (event_id, application, occurred_at)"
    " where starts_with(session_id, %s) is not true",
    "rejected_events": "eye.rejected_events t where starts_with(session_id, %s) is not true",
    "sessions": "eye.sessions t where not starts_with(session_id, %s)",
    "replaced_verdicts": "eye.replaced_verdicts t where %s::text is not null",
}


async def start_eye(settings: Settings, *arguments: str) -> Process:
    """Start a command as a process, to be killed."""
    others = {name: value for name, value in os.environ.items() if not name.startswith("EYE_")}
    env = others | environment(settings)
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "eye", *arguments, env=env, stdout=PIPE, stderr=PIPE
    )


async def eye(settings: Settings, *arguments: str) -> Ran:
    """Run a command to its end; in a thread, since a new process takes seconds."""
    return await asyncio.to_thread(run_eye, *arguments, env=environment(settings))


def mixed_events(number: int) -> Iterator[Event]:
    """Yield events, every tenth of which breaks a rule."""
    for index, event in enumerate(numbered_events(number, SESSIONS)):
        yield event | {"name": "dance"} if index % 10 == 9 else event


async def send(pipeline: Pipeline, events: Sequence[Event]) -> None:
    """Send events in order, again where the gateway says so."""
    for begin in range(0, len(events), BATCH):
        status = 503
        while status == 503:
            status, answer = await pipeline.post(ndjson(events[begin : begin + BATCH]), "application/x-ndjson")
        assert status == 202, answer


def checksums(settings: Settings) -> dict[str, tuple[int, str]]:
    """Return each table's number of rows, and the sum of what they say; without what is live."""
    sums = {}
    with psycopg.connect(settings.dsn) as connection:
        for table, rows in TABLES.items():
            whole = "md5(coalesce(string_agg(md5(t::text), '' order by t::text), ''))"
            [sums[table]] = connection.execute(f"select count(*), {whole} from {rows}".encode(), (LIVE,)).fetchall()
    return sums


async def drop_and_migrate(settings: Settings) -> None:
    """Empty Postgres of all that is ours, and make the tables anew."""
    with psycopg.connect(settings.dsn) as connection:
        # what every sink takes first: so nobody waits for it who has what the drop will wait for
        connection.execute("lock table eye.sink_positions in access exclusive mode")
        connection.execute("drop schema eye cascade")
    await migrate(settings.dsn)


WRONG, RIGHT = "[^7]$", "[^3]$"


def write_rule(directory: Path, path: str) -> None:
    """Write down the type of a pageview, whose path has to match a pattern."""
    (directory / "pageview.py").write_text(f"""
from typing import Annotated
from pydantic import Field
from schemas.payload import Payload

class Pageview(Payload, category="page interaction", name="pageview"):
    host: str
    path: Annotated[str, Field(pattern=r"{path}")]
""")


async def until_it_has_read(settings: Settings, records: int) -> str:
    """Wait until a run has come so far, and is not at its end; returns its id."""
    async with asyncio.timeout(60), await psycopg.AsyncConnection.connect(settings.dsn, autocommit=True) as connection:
        while True:
            query = """
                select run from eye.replays join eye.replay_partitions using (run)
                where status = 'running' group by run having sum(next_offset - first_offset) >= %s"""
            if found := await (await connection.execute(query, (records,))).fetchone():
                return str(found[0])
            await asyncio.sleep(0.02)


def summaries(settings: Settings) -> list[Any]:
    """Return what is known of the sessions, but for `later`."""
    query = "select session_id, revision, event_count, rejected_count from eye.sessions where session_id <> 'later'"
    with psycopg.connect(settings.dsn) as connection:
        return sorted(connection.execute(query).fetchall())
