"""SIGKILL at random moments of processes with a queue on disk: what `send` returned for is stored once.

`--kills 1000` is the long form.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from tests.support.pipeline import Pipeline
from tests.support.stored import times_stored

from clients.python.tests.sending import KEY

PROGRAM = Path(__file__).with_name("programs") / "killed.py"


@pytest.mark.timeout(3_600)
async def test_killed_processes_lose_nothing_they_took(
    the_eye: Pipeline, disk: Path, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    kills, notes = pytestconfig.getoption("--kills"), tmp_path / "notes"
    run = await asyncio.create_subprocess_exec(
        sys.executable, str(PROGRAM), the_eye.gateway.url, KEY, str(disk), str(notes), str(kills), stdout=-1, stderr=-1
    )
    output, errors = await run.communicate()
    assert (run.returncode, b"waiting=0" in output) == (0, True), (output, errors)
    # the last line of a killed process may be torn
    ids = [line for line in notes.read_text().splitlines() if len(line) == 36]

    print(f"{kills} kills, {len(ids)} events; the last process: {output.decode()}")
    assert len(ids) > kills
    assert await times_stored(the_eye.settings, ids) == {1: len(ids)}
