"""Command `eye send`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from eye.cli.terminal import AsJson, err, find_local_stack, print_found, read_settings
from eye.operations.gateway_tls import gateway_context
from eye.operations.send import RefusedEvent, SendError, send_file
from schemas.settings import Settings

_SHOWN_REFUSED = 10


def send(
    file: Annotated[Path, typer.Argument(help="Events, one JSON object a line.", exists=True, dir_okay=False)],
    url: Annotated[
        str | None, typer.Option(envvar="EYE_URL", help="The gateway; default: the stack that runs here.")
    ] = None,
    key: Annotated[str | None, typer.Option(envvar="EYE_KEY", help="An application's key with scope `write`.")] = None,
    as_json: AsJson = False,
) -> None:
    """Send a file of events; exits 1 when some were refused, the first ten of which are shown with their line."""
    stack = None if url and key else find_local_stack()
    if stack is not None:
        url, key = url or stack.url, key or stack.key
    if not url or not key:
        raise SendError("no stack runs here: name the gateway with --url and a key with --key")
    own = stack is not None and url == stack.url
    context = gateway_context(read_settings() if own else Settings(), own=own) if url.startswith("https:") else None
    refused: list[RefusedEvent] = []
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err) as progress:
        task = progress.add_task(file.name, total=file.stat().st_size)
        told = send_file(file, url, key, lambda size: progress.advance(task, size), refused.append, context)
        counts = asyncio.run(told)
    for event in refused[:_SHOWN_REFUSED]:
        err.print(f"{file}:{event.line}: {event.reason}", markup=False, highlight=False, soft_wrap=True)
    if len(refused) > _SHOWN_REFUSED:
        err.print(f"and {len(refused) - _SHOWN_REFUSED:,} more", highlight=False)
    rows = [[status, str(count)] for status, count in sorted(counts.items())]
    print_found(dict(counts), rows, ["status", "events"], as_json)
    if set(counts) - {"ok"}:
        raise typer.Exit(1)
