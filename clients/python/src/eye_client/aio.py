"""The client for asyncio."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import TYPE_CHECKING

from eye_client.counts import Counts
from eye_client.engine import Engine, OnResult
from eye_client.options import OptionalTerms, Options
from eye_client.results import Result
from eye_client.sender import Sender

if TYPE_CHECKING:
    from typing_extensions import Unpack


class AsyncEye(Sender):
    """The client for programs with an event loop: nothing here ever blocks the loop.

    `send` is no coroutine, since there is nothing to wait for. Delivery is on a thread of the client's own;
    `on_result` is called on the loop in which the client was entered, or first flushed.
    """

    def __init__(
        self, url: str, key: str, *, on_result: OnResult | None = None, **options: Unpack[OptionalTerms]
    ) -> None:
        checked = Options(url, key, **options)
        self._on_result = on_result
        self._loop: asyncio.AbstractEventLoop | None = None
        self._engine = Engine(checked, None if on_result is None else self._tell)
        super().__init__(self._engine, checked.max_event_bytes)

    async def flush(self, timeout: float = 10.0) -> bool:
        """Wait until every event taken so far has its result; False where that takes longer than `timeout`."""
        self._loop = asyncio.get_running_loop()
        return await asyncio.to_thread(self._engine.flush, timeout)

    async def close(self, timeout: float | None = None) -> bool:
        """Flush, for `exit_timeout` by default, and stop; False where events were not delivered."""
        self._loop = asyncio.get_running_loop()
        return await asyncio.to_thread(self._engine.close, timeout)

    def counts(self) -> Counts:
        """Return the numbers of events by result, and of those that wait."""
        return self._engine.counts()

    async def __aenter__(self) -> AsyncEye:
        self._loop = asyncio.get_running_loop()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def _tell(self, result: Result) -> None:
        assert self._on_result is not None
        if self._loop is None or self._loop.is_closed():
            self._on_result(result)
        else:
            self._loop.call_soon_threadsafe(self._on_result, result)
