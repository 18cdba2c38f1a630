"""Command `eye ledger`."""

from __future__ import annotations

import asyncio
import json
from dataclasses import asdict
from typing import Annotated, Any

import typer

from eye.cli.terminal import AsJson, out, print_found, read_settings
from eye.cli.time_arguments import FORMS, parse_option


def ledger(
    since: Annotated[str | None, typer.Option(help=f"From this time: {FORMS}. Default: a day ago.")] = None,
    until: Annotated[str | None, typer.Option(help="Up to, but without, this time.")] = None,
    as_json: AsJson = False,
) -> None:
    """Compare received events with their results, by application and hour; exits 1 when they don't balance."""
    from eye.operations.books.ledger import compute_ledger

    found = asyncio.run(compute_ledger(read_settings(), parse_option("--since", since), parse_option("--until", until)))
    columns = ("received", "stored", "rejected", "duplicate", "in_flight", "difference")
    lines = [(line, [getattr(line, name) for name in columns]) for line in [*found.lines, found.total]]
    if as_json:
        lines_json = [
            {"application": line.application, "hour": line.hour.isoformat(), **dict(zip(columns, numbers, strict=True))}
            for line, numbers in lines
        ]
        missing = [one._asdict() for one in found.missing]
        summary = {
            "since": found.since.isoformat(),
            "until": found.until.isoformat(),
            "balanced": found.balanced,
            "spooled": found.spooled,
            "spools": [asdict(spool) for spool in found.places.spools],
            "refused": [asdict(refused) for refused in found.places.refused],
            "silent_gateways": list(found.places.silent),
            "explanations": found.explanations,
            "client_drops": [one._asdict() for one in found.client_drops],
        }
        out.print_json(
            json.dumps(
                summary
                | {"lines": lines_json[:-1], "total": lines_json[-1], "missing": missing, "doubled": found.doubled}
            )
        )
    else:
        rows = [
            [line.application or "all", f"{line.hour:%Y-%m-%d %H:00}" if line.application else "", *map(str, numbers)]
            for line, numbers in lines
        ]
        print_found(None, rows, ["application", "hour", *(name.replace("_", " ") for name in columns)], False)
        _print_places(found)
        for drops in found.client_drops:
            said = f"dropped by clients of {drops.application} before sending: {drops.events:,} {drops.reason}"
            out.print(f"{said} (since the gateways started)", markup=False)
        for one in found.missing:
            out.print(
                f"missing: {one.application} {one.event_id}, raw record {one.partition}:{one.offset}", markup=False
            )
        if found.doubled:
            out.print(f"stored twice: {found.doubled}")
        for sentence in found.explanations:
            out.print(f"{sentence}.", markup=False, highlight=False, soft_wrap=True)
    if not found.balanced:
        raise typer.Exit(1)


def _print_places(found: Any) -> None:
    """Say which events no line has, and where they may lie."""
    lines = []
    if found.spooled:
        lines.append(f"spooled: {found.spooled:,} events wait on the gateways' disks and are not in the raw topic yet")
    for spool in found.places.spools:
        if spool.abandoned:
            lines.append(f"  {spool.records:,} of them in {spool.where}, which no gateway has: `eye spool drain`")
    for refused in found.places.refused:
        lines.append(f"refused: {refused.records:,} events are set aside at {refused.where}: `eye spool refused`")
    for url in found.places.silent:
        lines.append(f"not counted: the spool of {url}, which does not answer; if it has gone: `eye spool drain`")
    for line in lines:
        out.print(line, markup=False, soft_wrap=True)
