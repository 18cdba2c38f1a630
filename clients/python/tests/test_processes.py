"""Threads, forks, greenlets and the ends of processes: each event that was taken is stored once."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import aiohttp
import pytest
from tests.support.pipeline import Pipeline, fetch_status
from tests.support.stored import times_stored

from clients.python.tests.sending import KEY
from eye.local.remembered_settings import free_port

PROGRAMS = Path(__file__).with_name("programs")


async def run(program: str, the_eye: Pipeline, exit_code: int = 0) -> list[str]:
    """Run a program to its end; returns the ids of the events that it sent."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-Werror",
        *(("-Wignore::DeprecationWarning",) if "fork" in program or program in ("pool", "daemon") else ()),
        str(PROGRAMS / "processes.py"),
        program,
        the_eye.gateway.url,
        KEY,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        output, errors = await process.communicate()
    assert (process.returncode, errors.decode()) == (exit_code, "")
    return output.decode().split()


@pytest.mark.parametrize(
    ("program", "exit_code", "events"),
    [
        ("end", 0, 50),
        ("fail", 3, 50),
        ("threads", 0, 1_600),
        ("fork", 0, 140),
        ("daemon", 0, 40),
        ("pool", 0, 60),
        ("forks_of_threads", 0, 1_640),
        ("greenlets", 0, 1_000),
    ],
)
async def test_events_of_a_program_are_stored(the_eye: Pipeline, program: str, exit_code: int, events: int) -> None:
    ids = await run(program, the_eye, exit_code)

    assert len(set(ids)) == events
    assert await times_stored(the_eye.settings, ids) == {1: events}


async def test_a_handler_of_a_signal_may_send(the_eye: Pipeline) -> None:
    ids = await run("signals", the_eye)

    assert len(ids) > 2_000
    assert await times_stored(the_eye.settings, ids) == {1: len(ids)}


async def ask(url: str) -> list[str]:
    """Return the process that answered, and the ids that it tells."""
    async with aiohttp.ClientSession() as client, client.get(url) as response:
        return (await response.text()).split()


@pytest.mark.parametrize(
    ("worker", "workers"),
    # several of gevent take no signal when they have just been started, with any application
    [("sync", 3), ("gthread", 3), ("gevent", 1)],
)
async def test_forked_workers_of_gunicorn_send(the_eye: Pipeline, tmp_path: Path, worker: str, workers: int) -> None:
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "gunicorn", "--preload", "--workers", str(workers), "--worker-class", worker, "--no-control-socket"),
        *("--bind", f"127.0.0.1:{port}", "--worker-tmp-dir", str(tmp_path), "gunicorn_app"),
        cwd=PROGRAMS,
        env=os.environ | {"EYE_URL": the_eye.gateway.url, "EYE_KEY": KEY},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    url = f"http://127.0.0.1:{port}/page"
    async with asyncio.timeout(60):
        while not await asyncio.to_thread(fetch_status, url):
            assert process.returncode is None, await process.communicate()
        answers = await asyncio.gather(*(ask(url) for _ in range(30)))
        process.send_signal(signal.SIGTERM)
        await process.communicate()

    ids = {event_id for answer in answers for event_id in answer[1:]}
    assert len(ids) == len(answers) + 1
    assert await times_stored(the_eye.settings, ids) == {1: len(ids)}
