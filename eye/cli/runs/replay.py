"""Command `eye replay`: start, resume, list, show and cancel runs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import typer
from typer.core import TyperGroup

from eye.cli.runs.progress_view import print_check, print_outcome, work
from eye.cli.terminal import AsJson, Yes, confirm, fail, print_found, read_settings
from eye.cli.time_arguments import FORMS, parse_option
from eye.redrive.run import REDRIVE, Redrive
from eye.replay.run import FILE, SINK, STREAM, open_replay
from eye.runs import runs
from eye.runs.lifecycle import Outcome, Watcher
from eye.runs.live_lag import MOST_LAG
from eye.runs.selection import RAW, REJECTED, SESSIONS, VALIDATED, Selection
from eye.runs.targets import CheckResult
from schemas.settings import Settings
from sinks.postgres.pool import Pool, make_pool

T = TypeVar("T")

_TOPICS = {
    SINK: (VALIDATED, REJECTED, SESSIONS),
    STREAM: (RAW,),
    FILE: (RAW, VALIDATED, REJECTED, SESSIONS),
}
"""Topics that can be replayed to each target."""

_DEFAULT = {SINK: VALIDATED, STREAM: RAW, FILE: RAW}


class _FileAfterTo(TyperGroup):
    """An option that takes a second word after `file`: `--to file PATH`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take the path, then parse as usual."""
        for index in range(len(args) - 2):
            if args[index : index + 2] == ["--to", FILE] and not args[index + 2].startswith("-"):
                args = [*args[: index + 2], "--file", *args[index + 2 :]]
                break
        parsed: list[str] = super().parse_args(ctx, args)
        return parsed


replay_app = typer.Typer(
    cls=_FileAfterTo,
    invoke_without_command=True,
    epilog="Example: `eye replay --to sink --all`, `eye replay --to file events.ndjson --session my-session`",
)


@replay_app.callback()
def replay(
    context: typer.Context,
    to: Annotated[list[str] | None, typer.Option(help="Where to: sink, stream, or file PATH.")] = None,
    file: Annotated[Path | None, typer.Option(hidden=True)] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that Kafka has; to sink: of every topic.")] = False,
    topic: Annotated[list[str] | None, typer.Option(help="A topic, like events.validated; may be repeated.")] = None,
    partitions: Annotated[str | None, typer.Option(help="Like 0,2-4; default: all.")] = None,
    from_offset: Annotated[int | None, typer.Option(min=0, help="The first offset, in each partition.")] = None,
    to_offset: Annotated[int | None, typer.Option(min=0, help="The offset after the last one.")] = None,
    begin: Annotated[
        str | None, typer.Option("--from", "--since", help=f"Received at this time or later: {FORMS}.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Received before this time.")] = None,
    application: Annotated[str | None, typer.Option(help="Of this application.")] = None,
    session: Annotated[str | None, typer.Option(help="Of this session.")] = None,
    category: Annotated[str | None, typer.Option(help="Of this category.")] = None,
    name: Annotated[str | None, typer.Option(help="Of this name.")] = None,
    rate: Annotated[float | None, typer.Option(min=1, help="At most so many records per second.")] = None,
    max_lag: Annotated[
        float,
        typer.Option(min=0, help="Wait while the live pipeline is this many seconds behind, and moves; 0: never."),
    ] = MOST_LAG,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count what would change, and change nothing.")] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Use records again: for Postgres (`--to sink`), today's rules (`--to stream`), or a file (`--to file PATH`).

    Ends with a proof: rows expected, rows present, none twice; exits 1 where it fails.
    """
    if context.invoked_subcommand is not None:
        return
    target, until = _target(to or [], until)
    selection = Selection(
        topics=_topics(target, topic, everything),
        all=everything,
        partitions=_numbers(partitions),
        from_offset=from_offset,
        to_offset=to_offset,
        from_time=parse_option("--from", begin),
        to_time=parse_option("--until", until),
        application=application,
        session=session,
        category=category,
        name=name,
    )
    _check(selection, target)
    options: dict[str, Any] = {"max_lag": max_lag} | ({} if rate is None else {"rate": rate})
    if target == FILE and not dry_run:
        options["path"] = _new_file(file)

    async def check(settings: Settings, watcher: Watcher) -> CheckResult:
        async with open_replay(settings, watcher) as replay:
            return await replay.check(target, selection, options)

    async def start(settings: Settings, watcher: Watcher) -> Outcome:
        async with open_replay(settings, watcher) as replay:
            return await replay.start(target, selection, options)

    if dry_run:
        print_check(work(check), as_json)
    else:
        print_outcome(work(start, yes), as_json)


@replay_app.command("resume", epilog="Example: `eye replay resume 20261122-174312-3f9a`")
def resume_run(run: str, as_json: AsJson = False) -> None:
    """Go on with a run that was stopped or killed, a redrive too."""

    async def resume(settings: Settings, watcher: Watcher) -> Outcome:
        async with open_replay(settings, watcher) as replay:
            if (await runs.get(replay.pool, run)).target == REDRIVE:
                return await Redrive(settings, replay.pool, watcher).resume(run)
            return await replay.resume(run)

    print_outcome(work(resume), as_json)


@replay_app.command("list", epilog="Example: `eye replay list --json`")
def list_runs(
    limit: Annotated[int, typer.Option(min=1, help="How many, the newest first.")] = 20, as_json: AsJson = False
) -> None:
    """List the runs, the newest first."""
    found = _with_pool(lambda pool: runs.latest(pool, limit))
    rows = [
        [r.run, r.target, r.status, _percent(r), f"{r.selected:,}", f"{r.changed:,}", r.started_by, str(r.selection)]
        for r in found
    ]
    columns = ["run", "to", "status", "read", "selected", "changed", "by", "selection"]
    print_found(msgspec.to_builtins(found), rows, columns, as_json)


@replay_app.command(epilog="Example: `eye replay show 20261122-174312-3f9a`")
def show(run: str, as_json: AsJson = False) -> None:
    """Show a run, and how far it has come in each partition."""

    async def read(pool: Pool) -> tuple[runs.Run, list[runs.RunPartition]]:
        return await runs.get(pool, run), await runs.partitions(pool, run)

    found, partitions = _with_pool(read)
    shown = msgspec.to_builtins(found) | {"partitions": msgspec.to_builtins(partitions)}
    if as_json:
        print_found(shown, [], [], True)
        return
    print_found(None, [[field, _cell(value)] for field, value in shown.items() if field != "partitions"], [], False)
    rows = [[_cell(value) for value in partition.values()] for partition in shown["partitions"]]
    print_found(None, rows, ["topic", "partition", "first", "next", "end", "selected", "changed"], False)


@replay_app.command(epilog="Example: `eye replay cancel 20261122-174312-3f9a --yes`")
def cancel(run: str, yes: Yes = False, as_json: AsJson = False) -> None:
    """Stop a run for good; what it has done stays."""
    confirm(f"Cancel run {run}? What it has done stays.", yes)
    _with_pool(lambda pool: runs.cancel(pool, run))
    print_found({"run": run, "status": runs.CANCELLED}, [["cancelled", run]], [], as_json)


def _target(to: Sequence[str], until: str | None) -> tuple[str, str | None]:
    """Return the target, and the end of the time range; scripts of before name that by a second `--to`."""
    targets, times = [value for value in to if value in _TOPICS], [value for value in to if value not in _TOPICS]
    times += [] if until is None else [until]
    if len(targets) != 1 or len(times) > 1:
        raise typer.BadParameter(f"say where to, once: --to {', --to '.join(_TOPICS)}; up to when: --until TIME")
    return targets[0], times[0] if times else None


def _topics(target: str, named: Sequence[str] | None, everything: bool) -> tuple[str, ...]:
    possible = _TOPICS[target]
    if not named:
        return possible if everything and target == SINK else (_DEFAULT[target],)
    prefix = read_settings().topic_prefix
    wanted = tuple(name.removeprefix(prefix) for name in named)
    if unknown := [name for name in wanted if name not in possible]:
        raise typer.BadParameter(f"{unknown[0]} can't be replayed to {target}; there are {', '.join(possible)}")
    return wanted


def _check(selection: Selection, target: str) -> None:
    places = selection.partitions, selection.from_offset, selection.to_offset
    narrowed = bool(selection.conditions) or any(place is not None for place in places)
    if selection.all == narrowed:
        raise typer.BadParameter("say what to replay: a selection (see --help), or --all without one")
    if SESSIONS in selection.topics and (selection.category is not None or selection.name is not None):
        raise typer.BadParameter("a session has events of several types: select by --session or --application")


def _new_file(path: Path | None) -> str:
    if path is None:
        raise typer.BadParameter("name the file: --to file PATH")
    if path.exists():
        fail(f"{path} is there already; name another file")
    return str(path.absolute())


def _numbers(text: str | None) -> tuple[int, ...] | None:
    """Read a list of numbers and ranges, like 0,2-4."""
    if text is None:
        return None
    numbers: set[int] = set()
    try:
        for part in text.split(","):
            first, _, last = part.partition("-")
            numbers.update(range(int(first), int(last or first) + 1))
    except ValueError:
        raise typer.BadParameter(f"--partitions: {text} is no list like 0,2-4") from None
    return tuple(sorted(numbers))


def _with_pool(do: Callable[[Pool], Awaitable[T]]) -> T:
    settings = read_settings()

    async def work() -> T:
        async with make_pool(settings) as pool:
            return await do(pool)

    return asyncio.run(work())


def _percent(run: runs.Run) -> str:
    """Return how much of its records a run has read; a redrive reads rows, whose number only its end tells."""
    if not run.records:
        return "100%" if run.status == runs.DONE else ""
    return f"{100 * run.read // run.records}%"


def _cell(value: Any) -> str:
    """Write a value for people: nothing for None, fields for an object, and thousands apart."""
    match value:
        case None:
            return ""
        case dict():
            return ", ".join(f"{field.replace('_', ' ')} {_cell(inner)}" for field, inner in value.items())
        case list() | tuple():
            return " + ".join(map(_cell, value))
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
    return str(value)
