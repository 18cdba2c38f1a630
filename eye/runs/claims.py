"""The claim of a process on a run: one process works on a run at a time, and gives signs of life meanwhile."""

from __future__ import annotations

import asyncio
import getpass
import logging
import os
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime

import psycopg

from eye.runs.errors import ReplayError
from sinks.postgres.pool import Pool, lend

log = logging.getLogger(__name__)

SILENT_SECONDS = 10.0
"""After so long without a sign of life the process of a run counts as dead."""

_SIGN_SECONDS = 1.0
_POLL_SECONDS = 0.5

_SIGN = "update eye.replay_workers set alive_at = clock_timestamp() where run = %s and worker = %s"

_LAST = "select worker, alive_at from eye.replay_workers where run = %s"

_CLAIM = """
insert into eye.replay_workers as last (run, worker, alive_at) values (%s, %s, clock_timestamp())
on conflict (run) do update set worker = excluded.worker, alive_at = excluded.alive_at where last.alive_at = %s
"""


def somebody() -> str:
    """Return who runs this, as far as the machine knows."""
    user = "unknown"
    with suppress(OSError, KeyError):
        user = getpass.getuser()
    return f"{user}@{socket.gethostname()}"


WORKER = f"{somebody()}, process {os.getpid()}, {secrets.token_hex(4)}"
"""This process, among all that may work on a run."""


async def claim(pool: Pool, run: str, *, is_running: bool) -> None:
    """Claim a run for this process. Raises ReplayError where another one works on it.

    With `is_running` its last process may live: it is given SILENT_SECONDS for a sign.
    """
    last = await _last_sign(pool, run)
    if is_running and last is not None and await _shows_life(pool, run, last[1]):
        raise ReplayError(f"run {run} goes on: {last[0]} works on it; `eye replay show {run}` says how far it is")
    async with lend(pool) as connection:
        claimed = await connection.execute(_CLAIM, (run, WORKER, last and last[1]))
    if claimed.rowcount != 1:
        raise ReplayError(f"run {run} was taken up by another process just now")


@asynccontextmanager
async def signs_of_life(pool: Pool, run: str) -> AsyncIterator[None]:
    """Give signs of life of this process, which has claimed a run, while the body works on it."""
    giving = asyncio.create_task(_give_signs(pool, run), name="signs of life")
    try:
        yield
    finally:
        giving.cancel()
        with suppress(asyncio.CancelledError):
            await giving


async def _give_signs(pool: Pool, run: str) -> None:
    while True:
        try:
            async with lend(pool) as connection:
                await connection.execute(_SIGN, (run, WORKER))
        except psycopg.Error as error:  # the work notices by itself
            log.debug("no sign of life of run %s: %r", run, error)
        await asyncio.sleep(_SIGN_SECONDS)


async def _shows_life(pool: Pool, run: str, before: datetime) -> bool:
    """Wait for another sign of life than the one before."""
    deadline = asyncio.get_running_loop().time() + SILENT_SECONDS
    while asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(_POLL_SECONDS)
        last = await _last_sign(pool, run)
        if last is not None and last[1] != before:
            return True
    return False


async def _last_sign(pool: Pool, run: str) -> tuple[str, datetime] | None:
    async with lend(pool) as connection:
        row = await (await connection.execute(_LAST, (run,))).fetchone()
    return None if row is None else (str(row[0]), row[1])
