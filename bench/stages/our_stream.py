"""The stream in a process of its own, timed: run by `bench.stages.stream`."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time

import uvloop

from bench.progress import timed
from schemas.settings import Settings
from stream.app import build_worker


async def main(number: int) -> None:
    """Work until every event is committed."""
    worker = build_worker(Settings())
    running = asyncio.create_task(worker.run())

    def done() -> int:
        return sum(status.position or 0 for status in worker.status().values())

    begin = time.perf_counter()
    while not done():
        await asyncio.sleep(0.002)
    ready = time.perf_counter() - begin
    print(json.dumps(await timed(done, number) | {"ready_s": ready}), flush=True)
    os.kill(os.getpid(), signal.SIGTERM)
    await running


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
