"""Terminal output of replays and redrives: progress bar, final table, and the command that resumes a stopped run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import msgspec
import psycopg
import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from eye.cli.terminal import confirm, err, out, print_found, read_settings
from eye.operations.clusters import demand_own_cluster
from eye.runs.errors import ReplayError
from eye.runs.lifecycle import Outcome, Watcher
from eye.runs.targets import CheckResult
from schemas.settings import Settings

T = TypeVar("T")


class _OnTerminal:
    """Asks, and shows a bar with the time that is left."""

    def __init__(self, progress: Progress, yes: bool) -> None:
        self._progress, self._yes = progress, yes
        self._task: TaskID | None = None
        self._doing = ""
        self.run: str | None = None

    def ask(self, question: str) -> None:
        """Ask, unless the answer was given."""
        confirm(question, self._yes)

    def started(self, run: str) -> None:
        """Keep the run's id, to be shown when the run is stopped."""
        self.run = run
        self._progress.start()
        err.print(f"run {run}", highlight=False)

    def stage(self, doing: str, records: int) -> None:
        """Begin a bar."""
        self._progress.start()
        self._task, self._doing = self._progress.add_task(doing, total=records), doing

    def advance(self, records: int) -> None:
        """Move the bar."""
        assert self._task is not None
        self._progress.advance(self._task, records)

    def waits(self, waits: bool) -> None:
        """Show at the bar that the run waits for the live pipeline."""
        if self._task is not None:
            self._progress.update(self._task, description=self._doing + ", waits for the live pipeline" * waits)


@contextmanager
def _watching(yes: bool) -> Iterator[_OnTerminal]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    progress = Progress(*columns, console=err)
    watcher = _OnTerminal(progress, yes)
    try:
        yield watcher
    except KeyboardInterrupt:
        progress.stop()
        if watcher.run is not None:
            err.print(f"Stopped; go on with: eye replay resume {watcher.run}", highlight=False)
        raise typer.Exit(1) from None
    finally:
        progress.stop()


def work(do: Callable[[Settings, Watcher], Awaitable[T]], yes: bool = False) -> T:
    """Do something on this terminal; `yes` answers what it asks."""
    settings = read_settings()

    async def working(watcher: Watcher) -> T:
        await demand_own_cluster(settings)
        try:
            return await do(settings, watcher)
        except psycopg.errors.UndefinedTable as error:
            raise ReplayError(f"`eye migrate` has to be run: {error.diag.message_primary}") from error

    with _watching(yes) as watcher:
        return asyncio.run(working(watcher))


def print_outcome(outcome: Outcome, as_json: bool) -> None:
    """Print the result of a run; exits 1 where its proof fails."""
    shown: dict[str, Any] = msgspec.to_builtins(outcome)
    print_found(shown, [[field, _text(value)] for field, value in shown.items()], [], as_json)
    if not outcome.proven:
        raise typer.Exit(1)


def print_check(found: CheckResult, as_json: bool) -> None:
    """Print the result of a dry run."""
    shown = {"counts": dict(found.kinds), "changes": found.missing, "sample": found.sample}
    if as_json:
        print_found(shown, [], [], True)
        return
    print_found(None, [[kind, f"{count:,}"] for kind, count in sorted(found.kinds.items())], ["", "records"], False)
    print_found(None, [["would change", f"{found.missing:,}"]], [], False)
    for example in found.sample:
        out.print(msgspec.json.encode(example).decode(), markup=False, highlight=False, soft_wrap=True)


def _text(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
