"""Commands that start processes: `eye up`, `eye gateway`, `eye stream`, `eye sinks`; and `eye migrate`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from eye.cli.errors import EXPECTED_ERRORS
from eye.cli.terminal import AsJson, err, out, print_found, read_settings
from eye.operations.unknown_settings import unknown_settings
from eye.runtime.logs import configure_logs, is_json, log_thread_crashes
from schemas.settings import Settings, SettingsError

log = logging.getLogger(__name__)


def up(
    send: Annotated[
        Path | None, typer.Option(help="Send this NDJSON file, and show what it became.", exists=True, dir_okay=False)
    ] = None,
    once: Annotated[bool, typer.Option(help="Stop after that, instead of at Ctrl-C.")] = False,
) -> None:
    """Run all of it on this machine: Kafka, Postgres, gateway, stream, sinks."""
    from eye.local.up import up as run

    settings = Settings()
    configure_logs("WARNING", settings.log_format)
    for sentence in unknown_settings():
        err.print(f"eye: {sentence}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    run(settings, out, send=send, once=once)


def gateway() -> None:
    """Take events by HTTP and write them to Kafka, until SIGTERM."""
    from eye.runtime.processes import run_gateway

    serve(run_gateway)


def stream() -> None:
    """Judge raw events and group them by session, until SIGTERM."""
    from eye.runtime.processes import run_stream

    serve(run_stream)


def sinks() -> None:
    """Store verdicts and sessions in Postgres, until SIGTERM."""
    from eye.runtime.processes import run_sinks

    serve(run_sinks)


def console() -> None:
    """Serve the console until SIGTERM: live events, sessions, what was rejected, lag; it needs the extra `console`."""
    try:
        from eye.console.server import run as run_console
    except ModuleNotFoundError as missing:
        if missing.name != "nicegui":
            raise
        raise SettingsError("The console needs NiceGUI: pip install 'the-eye[console]'.") from None
    serve(run_console)


def serve(run: Callable[[Settings], None]) -> None:
    """Run a process; where its log is JSON, the error that ends it is logged as JSON, too."""
    settings = read_settings(quiet=False)
    for sentence in unknown_settings():
        log.warning("%s", sentence)
    if not is_json(settings.log_format):
        return run(settings)
    log_thread_crashes()
    try:
        run(settings)
    except Exception as error:
        log.critical("%s", str(error) or repr(error), exc_info=not isinstance(error, EXPECTED_ERRORS))
        raise typer.Exit(1) from None


def migrate(as_json: AsJson = False) -> None:
    """Bring Postgres' schema up to date; does nothing when it is. Writes down which Kafka cluster it belongs to."""
    from eye.operations.clusters import write_down
    from sinks.postgres.migrate import migrate as apply

    settings = read_settings()
    applied = asyncio.run(apply(settings.dsn))
    if settings.kafka_bootstrap_servers is not None:
        asyncio.run(write_down(settings))
    rows = [["applied", name] for name in applied] or [["nothing to do", ""]]
    print_found({"applied": applied}, rows, [], as_json)
