"""Command `eye lag`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from time import sleep
from typing import Annotated, Any

import typer
from rich.live import Live
from rich.table import Table

from eye.cli.terminal import AsJson, make_table, out, read_settings

_WATCH_SECONDS = 2.0


def lag(
    as_json: AsJson = False,
    watch: Annotated[bool, typer.Option(help="Show it again every two seconds, until Ctrl-C.")] = False,
) -> None:
    """Show how far each stage is behind, in messages and seconds, by partition."""
    from eye.operations.lag import Lag, read_lag

    settings = read_settings()

    def read() -> list[Lag]:
        return asyncio.run(read_lag(settings))

    if not watch:
        _print_lag(read(), as_json)
    elif out.is_terminal and not as_json:
        with Live(console=out, auto_refresh=False) as live:
            _again(lambda: live.update(_lag_table(read()), refresh=True))
    else:
        _again(lambda: _print_lag(read(), as_json))


def _again(show: Callable[[], None]) -> None:
    """Repeat a display until Ctrl-C."""
    try:
        while True:
            show()
            sleep(_WATCH_SECONDS)
    except KeyboardInterrupt:
        return


def _print_lag(lags: Sequence[Any], as_json: bool) -> None:
    if as_json:
        out.print(json.dumps([asdict(lag) for lag in lags]), soft_wrap=True, markup=False, highlight=False)
    else:
        out.print(_lag_table(lags))


def _lag_table(lags: Sequence[Any]) -> Table:
    table = make_table(["stage", "topic", "partition", "position", "end", "messages", "seconds"])
    for lag in lags:
        number = f"{lag.messages:,}" if lag.exact else f"about {lag.messages:,}"
        table.add_row(
            lag.stage,
            lag.topic,
            "" if lag.partition is None else str(lag.partition),
            str(lag.position),
            str(lag.end),
            number,
            f"{lag.seconds:,.1f}",
        )
    total, oldest = sum(lag.messages for lag in lags), max((lag.seconds for lag in lags), default=0.0)
    table.add_row("all", "", "", "", "", f"{total:,}", f"{oldest:,.1f}", style="bold")
    return table
