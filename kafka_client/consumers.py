"""The stop of a consumer, within a bound.

aiokafka 0.14 waits in `stop` for a fetch that it has cancelled; over TLS that was seen to take six seconds and more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any


async def stop_consumer(consumer: Any, seconds: float) -> None:
    """Stop a consumer without a group, whatever becomes of it; one that has not ended after so long is cut off."""
    if not await _ended(consumer.stop(), seconds):
        await _ended(consumer._client.close(), seconds)


async def _ended(ending: Awaitable[None], seconds: float) -> bool:
    """Wait for the end of something, at most so long, and cancel it then; its errors are dropped."""
    task = asyncio.ensure_future(ending)
    try:
        done, _ = await asyncio.wait([task], timeout=seconds)
        return bool(done)
    finally:
        task.cancel()
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
