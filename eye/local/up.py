"""`eye up`: the whole stack in one terminal."""

from __future__ import annotations

import asyncio
import shlex
import signal
import threading
import urllib.request
from pathlib import Path
from types import FrameType

from rich.console import Console
from rich.live import Live
from rich.text import Text

from eye.local.display.counts import Counts, CountsReader
from eye.local.display.result_tables import rejected_table, sessions_table
from eye.local.stack import Stack
from eye.operations.send import send_file
from eye.operations.wait_until_stored import wait_until_stored
from schemas.settings import Settings

_REFRESH_SECONDS = 1.0
_QUIET_SECONDS = 10.0

_CURL = """curl -i {options}{url}/events/ -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' \\
  -d '{{"session_id": "my-session", "category": "page interaction", "name": "pageview",
       "timestamp": "2021-01-01 09:15:27.243860", "data": {{"host": "www.example.com", "path": "/"}}}}'"""


def up(settings: Settings, console: Console, *, send: Path | None, once: bool) -> None:
    """Run the stack until Ctrl-C or SIGTERM; with `send`, show what a file of events becomes.

    With `once` it ends after that. Raises what a server's start raises.
    """
    stop = _stop_on_signal()
    with Stack(settings, lambda sentence: console.print(sentence, highlight=False)) as stack:
        _introduce(stack, console)
        if send is not None:
            _show(stack, console, send)
        if not once:
            console.print("Ctrl-C stops all of it.")
            _watch(stack, console, stop)
        console.print("Stopping: gateway, stream, sinks, then the servers.")
    console.print("Stopped.")


def _stop_on_signal() -> threading.Event:
    stop = threading.Event()

    def on_signal(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    signal.signal(signal.SIGINT, on_signal)
    signal.signal(signal.SIGTERM, on_signal)
    return stop


def _introduce(stack: Stack, console: Console) -> None:
    settings = stack.settings
    for what, where in {
        "gateway": f"{stack.url}   (docs at {stack.url}/docs)",
        "stream": f"http://{settings.worker_host}:{settings.stream_port}/healthz",
        "sinks": f"http://{settings.worker_host}:{settings.sinks_port}/healthz",
        "console": f"{stack.console_url}   (log in with the key below)" if stack.console_url else None,
        "Kafka": settings.kafka_bootstrap_servers,
        "Postgres": _without_password(settings.dsn),
        "data, logs": settings.data_dir,
    }.items():
        if where is None:
            continue
        console.print(f"  {what:<11}{where}", highlight=False, soft_wrap=True)
    console.print("\nSend an event:\n", highlight=False)
    options = no_proxy_option() + _authority(settings)
    line = _CURL.format(options=options, url=stack.url, key=stack.key)
    console.print(line, highlight=False, soft_wrap=True, markup=False)
    console.print()


def no_proxy_option() -> str:
    """Return the option that keeps curl from sending a local request through a proxy, where one is set."""
    return "--noproxy '*' " if urllib.request.getproxies() else ""


def _authority(settings: Settings) -> str:
    """Return the option by which curl trusts the gateway, where it speaks HTTPS."""
    if settings.tls_certfile is None:
        return ""
    return f"--cacert {shlex.quote(str((settings.gateway_cafile or settings.tls_certfile).absolute()))} "


def _without_password(dsn: str) -> str:
    from psycopg.conninfo import conninfo_to_dict

    parts = conninfo_to_dict(dsn)
    return f"postgresql://{parts.get('user')}@{parts.get('host')}:{parts.get('port')}/{parts.get('dbname')}"


def _show(stack: Stack, console: Console, path: Path) -> None:
    """Send a file, wait until its events are stored, and show what is in Postgres."""
    counts = asyncio.run(send_file(path, stack.url, stack.key, lambda size: None, context=stack.context))
    statuses = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    console.print(f"Sent {path.name}: {statuses}.", highlight=False)
    asyncio.run(wait_until_stored(stack.settings))
    console.print(sessions_table(stack.settings.dsn))
    console.print(rejected_table(stack.settings.dsn))


def _watch(stack: Stack, console: Console, stop: threading.Event) -> None:
    """Show the counts, and start ended processes again, until it has to stop."""
    reader = CountsReader(stack)
    if console.is_terminal:
        with Live(console=console, auto_refresh=False, transient=True) as live:
            while not stop.wait(_REFRESH_SECONDS):
                live.update(Text(str(reader.read())), refresh=True)
                stack.restart_ended()
        return
    shown: Counts | None = None
    while not stop.wait(_QUIET_SECONDS if shown else _REFRESH_SECONDS):
        counts = reader.read()
        if counts != shown:
            console.print(str(counts), highlight=False, soft_wrap=True)
        shown = counts
        stack.restart_ended()
