"""The console's web server: NiceGUI's pages behind the guard, until SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import AsyncIterator, Iterator

import uvicorn
from fastapi import FastAPI
from nicegui import ui

from eye.console.desk import Desk, make_desk
from eye.console.guard import Guard
from eye.console.login import add_login
from eye.console.pages import PAGES
from schemas.settings import Settings

log = logging.getLogger(__name__)

_STOP_SECONDS = 3


def run(settings: Settings) -> None:
    """Serve the console until SIGTERM. Raises OSError where the address can't be had."""
    app = build_app(make_desk(settings))
    config = uvicorn.Config(
        app,
        host=settings.console_host,
        port=settings.console_port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_STOP_SECONDS,
    )
    server = _Server(config)
    server.run()
    if not server.started:
        raise OSError(f"the console can't listen on {settings.console_host}:{settings.console_port}")


class _Server(uvicorn.Server):
    """uvicorn's server; it says when it listens, and a stop by signal is a stop in good order."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        await super().startup(sockets)
        if self.started:
            log.info("the console listens on http://%s:%s", self.config.host, self.config.port)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop on SIGINT or SIGTERM, and raise it no second time."""
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def build_app(desk: Desk) -> FastAPI:
    """Return the console as an ASGI application; a process has one."""

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        watching = asyncio.create_task(desk.history.watch(desk.gateway.session), name="metrics")
        yield
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
        await desk.jobs.stop()
        await desk.gateway.close()

    app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    add_login(app, desk.visitors, desk.gateway)
    for page in PAGES:
        page.add(desk)
    ui.run_with(
        app,
        title="The Eye",
        dark=None,
        language="en-US",
        tailwind=False,
        message_history_length=30,
        show_welcome_message=False,
    )
    app.add_middleware(Guard, visitors=desk.visitors)
    return app
