"""The log of a worker has what an operator has to know, and nothing else."""

from __future__ import annotations

from eye.operations.wait_until_stored import wait_until_stored
from schemas.settings import Settings
from tests.support.pipeline import Pipeline, an_event, ndjson


async def test_a_worker_logs_no_line_of_its_framework(settings: Settings) -> None:
    with Pipeline(settings) as pipeline:
        await pipeline.post(ndjson([an_event()]), "application/x-ndjson")
        await wait_until_stored(settings)

    lines = [line for process in pipeline.processes for line in process.log.read_text().splitlines()]
    assert any("partitions assigned" in line for line in lines)
    assert [line for line in lines if "[^" in line] == []
