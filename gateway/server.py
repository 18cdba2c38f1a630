"""The server: one process on a port that others may share, and how it stops."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable

import uvloop
from aiohttp import web

from gateway.app import build_app
from gateway.state import GATEWAY
from schemas.settings import Settings

log = logging.getLogger(__name__)

DRAIN_SECONDS = 3.0
"""How long requests under way may take when stopping; they need at most 2 s, once their body is there."""

CANCEL_SECONDS = 1.0
"""How long they may take to end after that, before they are cancelled."""


def run(settings: Settings, *, ready: Callable[[str], None] | None = None) -> None:
    """Serve until SIGTERM or SIGINT; return when stopped in good order. Raises OSError when the port is taken."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(settings, ready=ready))


async def serve(
    settings: Settings, *, ready: Callable[[str], None] | None = None, stop: asyncio.Event | None = None
) -> None:
    """Serve until `stop` is set; without one, until SIGTERM or SIGINT.

    `ready` is called once with the address, as `http://host:port`, when the port is open; Kafka may still be
    away then. Any number of processes can listen on the same port.
    """
    stop = stop or _stop_on_signal()
    app = build_app(settings)
    # bodies are decompressed by our own hand, with a bound
    runner = web.AppRunner(app, access_log=None, auto_decompress=False, shutdown_timeout=CANCEL_SECONDS)
    await runner.setup()
    try:
        site = web.TCPSite(runner, settings.gateway_host, settings.gateway_port, reuse_port=True)
        await site.start()
        log.info("listening on %s", site.name)
        if ready is not None:
            ready(site.name)
        await stop.wait()
        log.info("stopping")
        await site.stop()
        await app[GATEWAY].traffic.drain(DRAIN_SECONDS)
    finally:
        await runner.cleanup()


def _stop_on_signal() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop
