"""Command `eye retention`."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Annotated, Any

import typer

from eye.cli.terminal import AsJson, Yes, confirm, fail, print_found, read_settings


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
