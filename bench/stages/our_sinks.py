"""The sinks in a process of their own, timed: run by `bench.stages.sinks`."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys

import uvloop

from bench.progress import timed
from schemas.settings import Settings
from sinks.app import build_worker


async def main(number: int) -> None:
    """Work until every record is stored."""
    worker = build_worker(Settings())
    running = asyncio.create_task(worker.run())

    def done() -> int:
        return sum(status.position or 0 for status in worker.status().values())

    figure = await timed(done, number)
    print(json.dumps(figure), flush=True)
    os.kill(os.getpid(), signal.SIGTERM)
    await running


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
