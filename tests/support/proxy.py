"""A TCP proxy between a client and its server, to be disturbed: resets, delays, black holes, throttling."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self

CHUNK_BYTES = 64 * 1024


class Proxy:
    """Listens on `port`, forwards to `target_port` of this machine, in a thread of its own; a context manager.

    Its faults may be changed at any time, from any thread: `delay` holds each part for so many seconds, `throttle`
    lets through so many bytes a second, `blackhole` nothing at all while connections stay open.
    """

    def __init__(self, port: int, target_port: int) -> None:
        self.port = port
        self.target_port = target_port
        self.delay = 0.0
        self.throttle: float | None = None
        self.blackhole = False
        self.resets = 0
        self._connections: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._accept, "127.0.0.1", self.port), self._loop
        ).result(10)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def heal(self) -> None:
        """End every fault."""
        self.delay, self.throttle, self.blackhole = 0.0, None, False

    def reset(self) -> None:
        """Reset all connections that are open now."""

        async def reset() -> None:
            for writer in self._connections:
                _linger_no_more(writer)
                writer.transport.abort()
            self.resets += len(self._connections)

        asyncio.run_coroutine_threadsafe(reset(), self._loop).result(10)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            from_server, to_server = await asyncio.open_connection("127.0.0.1", self.target_port)
        except OSError:
            _linger_no_more(writer)
            writer.transport.abort()
            return
        self._connections |= {writer, to_server}
        try:
            await asyncio.gather(self._forward(reader, to_server), self._forward(from_server, writer))
        finally:
            self._connections -= {writer, to_server}

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while part := await reader.read(CHUNK_BYTES):
                await asyncio.sleep(self.delay + (len(part) / self.throttle if self.throttle else 0))
                while self.blackhole:  # noqa: ASYNC110 - a fault that any thread may end
                    await asyncio.sleep(0.02)
                writer.write(part)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    async def _close(self) -> None:
        self._server.close()
        self.heal()
        for writer in list(self._connections):
            writer.transport.abort()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


def _linger_no_more(writer: asyncio.StreamWriter) -> None:
    """Have the end of a connection be a reset."""
    with suppress(OSError):  # it has ended by itself
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
