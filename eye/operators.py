"""What operators type: how far behind it is, and whether the books balance."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.live import Live
from rich.table import Table

from eye.moments import parse_moment
from eye.terminal import AsJson, out, print_found, read_settings

_WATCH_SECONDS = 2.0

Since = Annotated[str | None, typer.Option(help="From this time, or so long ago: `2h`. Default: a day ago.")]


def lag(
    as_json: AsJson = False,
    watch: Annotated[bool, typer.Option(help="Show it again every two seconds, until Ctrl-C.")] = False,
) -> None:
    """Show how far each stage is behind, in messages and seconds, by partition."""
    from eye.lag import Lag, read_lag

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
    """Show something until Ctrl-C."""
    try:
        while True:
            show()
            time.sleep(_WATCH_SECONDS)
    except KeyboardInterrupt:
        return


def _print_lag(lags: Sequence[Any], as_json: bool) -> None:
    if as_json:
        out.print(json.dumps([asdict(lag) for lag in lags]), soft_wrap=True, markup=False, highlight=False)
    else:
        out.print(_lag_table(lags))


def _lag_table(lags: Sequence[Any]) -> Table:
    table = Table("stage", "topic", "partition", "position", "end", "messages", "seconds", box=None)
    for lag in lags:
        number = f"{lag.messages:,}" if lag.exact else f"about {lag.messages:,}"
        table.add_row(
            lag.stage, lag.topic, str(lag.partition), str(lag.position), str(lag.end), number, f"{lag.seconds:,.1f}"
        )
    total, oldest = sum(lag.messages for lag in lags), max((lag.seconds for lag in lags), default=0.0)
    table.add_row("all", "", "", "", "", f"{total:,}", f"{oldest:,.1f}", style="bold")
    return table


def ledger(
    since: Since = None,
    until: Annotated[str | None, typer.Option(help="Up to, but without, this time.")] = None,
    as_json: AsJson = False,
) -> None:
    """Hold what was received against what became of it, by application and hour; exits 1 when it doesn't balance."""
    from eye.ledger import take_ledger

    found = asyncio.run(take_ledger(read_settings(), _moment(since), _moment(until)))
    columns = ("received", "stored", "rejected", "duplicate", "in_flight", "difference")
    lines = [(line, [getattr(line, name) for name in columns]) for line in [*found.lines, found.total]]
    if as_json:
        told = [
            {"application": line.application, "hour": line.hour.isoformat(), **dict(zip(columns, numbers, strict=True))}
            for line, numbers in lines
        ]
        missing = [one._asdict() for one in found.missing]
        summary = {"since": found.since.isoformat(), "until": found.until.isoformat(), "balanced": found.balanced}
        out.print_json(
            json.dumps(summary | {"lines": told[:-1], "total": told[-1], "missing": missing, "doubled": found.doubled})
        )
    else:
        rows = [
            [line.application or "all", f"{line.hour:%Y-%m-%d %H:00}" if line.application else "", *map(str, numbers)]
            for line, numbers in lines
        ]
        print_found(None, rows, ["application", "hour", *(name.replace("_", " ") for name in columns)], False)
        for one in found.missing:
            out.print(
                f"missing: {one.application} {one.event_id}, raw record {one.partition}:{one.offset}", markup=False
            )
        if found.doubled:
            out.print(f"stored twice: {found.doubled}")
    if not found.balanced:
        raise typer.Exit(1)


def _moment(text: str | None) -> datetime | None:
    try:
        return None if text is None else parse_moment(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
