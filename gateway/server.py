"""The server: one process on a port that others may share, and its orderly stop."""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import logging
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable

import uvloop
from aiohttp import web
from prometheus_client import CollectorRegistry
from yarl import URL

from gateway import garbage_collection
from gateway.admin import build_admin_app
from gateway.app import build_app
from gateway.connections.os_limits import limit_unread
from gateway.connections.tls_listener import TlsListener, bind
from gateway.context import GATEWAY, Gateway
from gateway.publish.publisher import Publisher
from kafka_client.amendments import amend_connections
from schemas.settings import Settings
from schemas.spans import Spans

log = logging.getLogger(__name__)

DRAIN_SECONDS = 3.0
"""Time for requests under way when stopping; they need at most 2 s, once their body is there."""

CONNECT_SECONDS = 5.0
"""Time for which the port stays closed for Kafka's sake when starting."""

STOP_SECONDS = 13.0
"""Time from SIGTERM to the end of the process, in good order or not; an orchestrator kills it after 15 s."""

BACKLOG = 1024
"""Connections that wait to be accepted."""

CANCEL_SECONDS = 1.0
"""Time to end after that, before they are cancelled."""

SWITCH_SECONDS = 0.0005
"""Longest time that a thread with a large body keeps the interpreter while the event loop waits for it."""


def run(
    settings: Settings,
    *,
    ready: Callable[[str], None] | None = None,
    registry: CollectorRegistry | None = None,
    spans: Spans | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT; return when stopped in good order. Raises OSError when the port is taken."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(settings, ready=ready, registry=registry, spans=spans, own_process=True))


async def serve(
    settings: Settings,
    *,
    ready: Callable[[str], None] | None = None,
    stop: asyncio.Event | None = None,
    registry: CollectorRegistry | None = None,
    spans: Spans | None = None,
    own_process: bool = False,
) -> None:
    """Serve until `stop` is set; without one, until SIGTERM or SIGINT.

    `ready` is called once with the address, as `http://host:port` or `https://host:port`, when the port is open;
    Kafka may still be away then. Any number of processes can listen on the same port. `own_process`: nothing else runs
    in this process, which ends within STOP_SECONDS of the signal, and whose garbage collector and threads are tuned.
    """
    amend_connections()
    stop = stop or _stop_on_signal(_exit_in_time if own_process else None)
    app = build_app(settings, registry, spans)
    runner = web.AppRunner(app, shutdown_timeout=CANCEL_SECONDS)
    await runner.setup()
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(runner.cleanup)
        await _first_connected(app[GATEWAY].publisher, stop)
        listener = await _listen(app[GATEWAY], runner)
        address = _address(listener)
        await stack.enter_async_context(_admin_port(app[GATEWAY]))
        if own_process:
            garbage_collection.tune(app[GATEWAY].metrics)
            sys.setswitchinterval(SWITCH_SECONDS)
        log.info("listening on %s", address)
        if ready is not None:
            ready(address)
        await stop.wait()
        log.info("stopping")
        listener.close()
        app[GATEWAY].clients.closing = True
        await app[GATEWAY].admission.drain(DRAIN_SECONDS)


@contextlib.asynccontextmanager
async def _admin_port(gateway: Gateway) -> AsyncIterator[None]:
    """Serve the admin port, where the settings name one."""
    settings = gateway.settings
    if settings.gateway_admin_port is None:
        yield
        return
    runner = web.AppRunner(build_admin_app(gateway), access_log=None, shutdown_timeout=CANCEL_SECONDS)
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.gateway_host, settings.gateway_admin_port, reuse_port=True).start()
        log.info("metrics and readiness on port %d", runner.addresses[0][1])
        yield
    finally:
        await runner.cleanup()


async def _first_connected(publisher: Publisher, stop: asyncio.Event) -> None:
    """Wait until events can be written or spooled, at most CONNECT_SECONDS: others on this port may serve meanwhile."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(CONNECT_SECONDS):
            while publisher.faults and not stop.is_set():  # noqa: ASYNC110 - asked, not told
                await asyncio.sleep(0.02)


async def _listen(gateway: Gateway, runner: web.AppRunner) -> asyncio.Server | TlsListener:
    server, clients, settings = runner.server, gateway.clients, gateway.settings
    assert server is not None
    if gateway.certificate is not None:
        sockets = await bind(settings.gateway_host, settings.gateway_port, BACKLOG)
        for listening in sockets:
            limit_unread(listening, settings.transfer_seconds)
        secure = TlsListener(sockets, clients, gateway.certificate, lambda shake: clients.connection(server, shake))
        secure.start()
        return secure
    listener = await asyncio.get_running_loop().create_server(
        lambda: clients.connection(server),
        settings.gateway_host,
        settings.gateway_port,
        reuse_port=True,
        backlog=BACKLOG,
        start_serving=False,
    )
    for listening in listener.sockets:
        limit_unread(listening, settings.transfer_seconds)
    await listener.start_serving()
    return listener


def _address(listener: asyncio.Server | TlsListener) -> str:
    host, port = listener.sockets[0].getsockname()[:2]
    scheme = "https" if isinstance(listener, TlsListener) else "http"
    return str(URL.build(scheme=scheme, host=host, port=port))


def _stop_on_signal(signalled: Callable[[], None] | None) -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def begin() -> None:
        if signalled is not None and not stop.is_set():
            signalled()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, begin)
    return stop


def _exit_in_time() -> None:
    """End the process after STOP_SECONDS, whatever it waits for: accepted events are durable, so none is lost."""
    timer = threading.Timer(STOP_SECONDS, _exit_now)
    timer.daemon = True
    timer.start()


def _exit_now() -> None:
    log.critical("the gateway did not end in time, and is ended now: %d threads", threading.active_count())
    faulthandler.dump_traceback()
    os._exit(1)
