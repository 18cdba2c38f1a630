"""What operators type: lag, trace, ledger and retention. What they do stands in the modules they call."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from time import sleep
from typing import Annotated, Any

import typer
from rich.live import Live
from rich.table import Table

from eye.cli.terminal import AsJson, Yes, confirm, err, fail, out, print_found, read_settings
from eye.cli.time_arguments import parse_moment

_WATCH_SECONDS = 2.0

Since = Annotated[str | None, typer.Option(help="From this time, or so long ago: `2h`. Default: a day ago.")]


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
    """Show something until Ctrl-C."""
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
    from eye.operations.ledger import take_ledger

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


def retention(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what is due.")] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Take out what has expired by EYE_..._RETENTION_DAYS; the sinks do so by themselves every six hours."""
    from eye.operations.retention import find, take_out

    settings = read_settings()
    due = asyncio.run(find(settings))
    if dry_run or not due.anything:
        _print_expired("due", due, as_json)
        return
    partitions = ", ".join(due.partitions) or "no partition"
    rows = (
        f"{due.default_events} other events, {due.rejected_events} rejected events, {due.sessions} sessions,"
        f" {due.replaced_verdicts} notes of replaced verdicts and {due.redrive_attempts} of attempts"
    )
    confirm(f"Drop {partitions}, and delete {rows}?", yes)
    taken = asyncio.run(take_out(settings))
    if taken is None:
        fail("a sink worker is taking out what has expired just now; look again in a while")
    _print_expired("taken out", taken, as_json)


def _print_expired(word: str, expired: Any, as_json: bool) -> None:
    rows = [
        ["partitions of events", ", ".join(expired.partitions) or "none"],
        ["events of the default partition", str(expired.default_events)],
        ["rejected events", str(expired.rejected_events)],
        ["sessions", str(expired.sessions)],
        ["notes of replaced verdicts", str(expired.replaced_verdicts)],
        ["notes of attempts to redrive", str(expired.redrive_attempts)],
    ]
    print_found(asdict(expired), rows, ["", word], as_json)


def trace(
    event_id: Annotated[str, typer.Argument(help="The event's id as sent, or as its row has it.")],
    application: Annotated[
        list[str] | None, typer.Option(help="An application without a key, whose id is no UUID; may be repeated.")
    ] = None,
    since: Annotated[str, typer.Option(help="How far back to look for an event without a row.")] = "10m",
    as_json: AsJson = False,
) -> None:
    """Show what became of an event, step by step; exits 1 when it is found nowhere."""
    import msgspec

    from eye.operations.trace import find_traces

    moment = _read_moment(since)
    found = asyncio.run(find_traces(read_settings(), event_id, moment, application or ()))
    if as_json:
        out.print_json(msgspec.json.encode(found).decode())
    for one in found.traces if not as_json else ():
        out.print(f"{one.event_id} of {one.application}: {one.status}", markup=False, highlight=False)
        print_found(None, _steps(one), ["", "where", "when"], False)
    if not found.complete:
        err.print("eye: there was more to read in Kafka than allowed: not everything was looked at", style="red")
    if not found.traces:
        fail(f"no event {event_id} is stored, or among the records since {moment:%Y-%m-%d %H:%M:%S}Z")


def _steps(trace: Any) -> list[list[str]]:
    """Return a trace as lines: step, place, time."""
    verdict = ", ".join([trace.verdict or "none yet", *trace.codes])
    return [
        ["received", "by the gateway", _time(trace.received_at)],
        ["raw", *_record(trace.raw)],
        ["verdict", verdict, ""],
        ["judged", *_record(trace.judged)],
        ["row", f"eye.{trace.row.table} {trace.row.id}", _time(trace.row.stored_at)] if trace.row else ["row", "-", ""],
        ["trace", trace.trace_id or "-", ""],
    ]


def _record(place: Any) -> list[str]:
    return [f"{place.topic}:{place.partition}:{place.offset}", _time(place.written_at)] if place else ["-", ""]


def _time(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S.%f}"[:-3] if moment else ""


def _moment(text: str | None) -> datetime | None:
    return None if text is None else _read_moment(text)


def _read_moment(text: str) -> datetime:
    try:
        return parse_moment(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
