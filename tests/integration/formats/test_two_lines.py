"""You use X: change these two lines. Each row of the table in docs/applications.md does what it says."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from tests.conftest import KEY
from tests.integration.formats.conftest import NODE, PUBLIC_KEY
from tests.integration.formats.delivery import Senders, row_of_user
from tests.integration.formats.page import a_page, bundle
from tests.integration.formats.two_lines import PROGRAMS, Kind, program, told

TOLD = told()


def of(kind: Kind) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("package", [name for name, (its, _) in PROGRAMS.items() if its is kind])


def written(package: str, senders: Senders, user: str, key: str = KEY) -> str:
    lines = "\n".join(TOLD[package]).replace("http://127.0.0.1:8080", senders.pipeline.gateway.url)
    return program(package, lines.replace('"KEY"', f'"{key}"'), user)


async def sends(senders: Senders, command: list[str], user: str) -> bool:
    """Run a program, and tell whether the event of its user is stored."""
    await asyncio.to_thread(run, command)
    return bool((await row_of_user(senders, user))["name"] == "Bought")


def run(command: list[str]) -> None:
    done = subprocess.run(command, cwd=NODE, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def test_the_table_has_two_lines_for_each_program() -> None:
    assert TOLD.keys() == PROGRAMS.keys()
    assert all(len(lines) == 2 for lines in TOLD.values())


@of(Kind.PYTHON)
async def test_a_python_sdk_sends_after_two_lines(senders: Senders, package: str) -> None:
    user = uuid.uuid4().hex

    assert await sends(senders, [sys.executable, "-c", written(package, senders, user)], user)


@of(Kind.NODE)
async def test_a_node_sdk_sends_after_two_lines(node: str, senders: Senders, package: str) -> None:
    user = uuid.uuid4().hex

    assert await sends(senders, [node, "--input-type=module", "--eval", written(package, senders, user)], user)


@of(Kind.PAGE)
async def test_a_page_sends_after_two_lines(
    node: str, senders: Senders, page_port: int, tmp_path: Path, package: str
) -> None:
    user = uuid.uuid4().hex
    script = bundle(node, written(package, senders, user, PUBLIC_KEY), tmp_path)

    async with a_page(script, page_port):
        assert (await row_of_user(senders, user))["name"] == "Bought"
