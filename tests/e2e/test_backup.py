"""A dump restored into another Postgres: what came after it is read again from Kafka."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import SecretStr

from eye.local.stack import environment
from eye.operations.wait_until_stored import wait_until_stored
from schemas.settings import Settings
from tests.e2e.replays import checksums
from tests.integration.docs.test_examples import environment_of
from tests.integration.eye.test_command import run_eye
from tests.support.examples import example
from tests.support.pipeline import Pipeline, an_event, ndjson

PAGE = "docs/operators.md"


async def send(pipeline: Pipeline, session: str, number: int) -> None:
    """Send as many valid events, and one that is none."""
    events = [*(an_event(session_id=f"{session}-{n % 5}") for n in range(number)), an_event(data={})]
    assert (await pipeline.post(ndjson(events), "application/x-ndjson"))[0] == 202
    await wait_until_stored(pipeline.settings, 60)


def run_block(beginning: str, place: Path, variables: Mapping[str, str]) -> None:
    """Run an example of the page in a directory."""
    done = subprocess.run(
        ["bash", "-e", "-c", example(PAGE, beginning).script],
        cwd=place,
        env={**variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.processes
async def test_what_came_after_a_restored_dump_is_read_again(settings: Settings, empty: str, tmp_path: Path) -> None:
    restored = settings.model_copy(update={"postgres_dsn": SecretStr(empty)})
    with Pipeline(settings) as pipeline:
        await send(pipeline, "before", 200)
        run_block("eye pg_dump", tmp_path, environment_of(settings))
        await send(pipeline, "after", 300)
    before = checksums(settings)

    run_block("eye psql", tmp_path, environment_of(restored))
    assert checksums(restored)["events"][0] == 200
    with Pipeline(restored) as pipeline:
        await wait_until_stored(restored, 60)
        assert checksums(restored) == before
        await send(pipeline, "later", 10)
    ledger = await asyncio.to_thread(run_eye, "ledger", "--json", env=environment(restored))

    assert (ledger.returncode, ledger.json["balanced"]) == (0, True)
    assert checksums(restored)["events"][0] == 510
