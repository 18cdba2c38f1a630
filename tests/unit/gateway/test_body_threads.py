"""Large bodies are read beside the event loop, those of unknown senders in a thread of their own."""

from __future__ import annotations

import asyncio
import gzip
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.ingest.body import THREADS, BodyReader
from gateway.problems import TooLarge
from schemas.settings import Settings

MANY = 1_000_000


@pytest.fixture
def bodies(tmp_path: Path) -> Iterator[BodyReader]:
    made = BodyReader(Settings(data_dir=tmp_path))
    yield made
    made.close()


async def test_a_keyed_body_waits_behind_none_without_a_key(bodies: BodyReader) -> None:
    go_on = threading.Event()
    slow = [asyncio.create_task(bodies.offload_if_large(MANY, go_on.wait, known=False)) for _ in range(THREADS + 1)]
    async with asyncio.timeout(20):
        assert await bodies.offload_if_large(MANY, lambda: "read") == "read"
        assert not any(task.done() for task in slow)
        go_on.set()
        await asyncio.gather(*slow)


@pytest.mark.parametrize("known", [True, False])
async def test_a_few_bytes_that_grow_hold_up_nobody(bodies: BodyReader, known: bool) -> None:
    bomb = gzip.compress(b"[" * 4 * MANY)
    reading = asyncio.create_task(bodies.decompress(bomb, "gzip", known=known))
    await asyncio.sleep(0)

    assert not reading.done()
    assert await reading == b"[" * 4 * MANY
    assert await bodies.decompress(gzip.compress(b"[]"), "gzip", known=known) == b"[]"
    with pytest.raises(TooLarge):
        await bodies.decompress(gzip.compress(b"[" * 9 * MANY), "gzip", known=known)
