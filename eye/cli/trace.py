"""Command `eye trace`."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated, Any

import typer

from eye.cli.terminal import AsJson, err, fail, out, print_found, read_settings
from eye.cli.time_arguments import FORMS, parse_option


def trace(
    event_id: Annotated[str, typer.Argument(help="The event's id as sent, or as its row has it.")],
    application: Annotated[
        list[str] | None, typer.Option(help="An application without a key, whose id is no UUID; may be repeated.")
    ] = None,
    since: Annotated[str, typer.Option(help=f"How far back to look for an event without a row: {FORMS}.")] = "10m",
    as_json: AsJson = False,
) -> None:
    """Show the steps of an event, each with its time; exits 1 when it is found nowhere."""
    import msgspec

    from eye.operations.trace import find_traces

    moment = parse_option("--since", since)
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
