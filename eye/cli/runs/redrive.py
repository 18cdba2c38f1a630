"""Command `eye redrive`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from eye.cli.runs.progress_view import print_check, print_outcome, work
from eye.cli.runs.redrive_view import print_redrive_check
from eye.cli.terminal import AsJson, Yes
from eye.cli.time_arguments import FORMS, parse_option
from eye.redrive.run import Redrive, end_of_selection
from eye.redrive.transform import read_steps
from eye.runs.lifecycle import Outcome, Watcher
from eye.runs.selection import Selection
from eye.runs.targets import CheckResult
from schemas.settings import Settings
from schemas.verdict import Code
from sinks.postgres.pool import make_pool


def redrive(
    everything: Annotated[bool, typer.Option("--all", help="All that are rejected.")] = False,
    code: Annotated[Code | None, typer.Option(help="Rejected with this code.")] = None,
    application: Annotated[str | None, typer.Option(help="Of this application.")] = None,
    session: Annotated[str | None, typer.Option(help="Of this session.")] = None,
    category: Annotated[str | None, typer.Option(help="Of this category.")] = None,
    name: Annotated[str | None, typer.Option(help="Of this name.")] = None,
    begin: Annotated[
        str | None, typer.Option("--from", "--since", help=f"Received at this time or later: {FORMS}.")
    ] = None,
    end: Annotated[str | None, typer.Option("--until", "--to", help="Received before this time.")] = None,
    transformation: Annotated[
        Path | None,
        typer.Option("--transform", help="Steps that mend them, in JSON or TOML.", exists=True, dir_okay=False),
    ] = None,
    rate: Annotated[float | None, typer.Option(min=1, help="At most so many events per second.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would become of them.")] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Judge rejected events again by today's rules; those that pass become events. Each is tried at most 5 times."""
    selection = Selection(
        topics=("rejected events",),
        all=everything,
        code=code.value if code is not None else None,
        application=application,
        session=session,
        category=category,
        name=name,
        from_time=parse_option("--from", begin),
        to_time=end_of_selection(parse_option("--until", end)),
    )
    narrowed = any(value is not None for value in (code, application, session, category, name, begin, end))
    if everything == narrowed:
        raise typer.BadParameter("say what to try again: a selection (see --help), or --all without one")
    steps = read_steps(transformation) if transformation is not None else []
    options: dict[str, Any] = {"rate": rate} if rate is not None else {}

    async def check(settings: Settings, watcher: Watcher) -> CheckResult:
        async with make_pool(settings) as pool:
            return await Redrive(settings, pool, watcher).check(selection, steps)

    async def start(settings: Settings, watcher: Watcher) -> Outcome:
        async with make_pool(settings) as pool:
            return await Redrive(settings, pool, watcher).start(selection, steps, options)

    if dry_run and as_json:
        print_check(work(check), as_json)
    elif dry_run:
        print_redrive_check(work(check))
    else:
        print_outcome(work(start, yes), as_json)
