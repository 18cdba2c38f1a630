"""Functions that all commands share: settings, output, confirmation and failure."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from eye.local.environment import drop_foreign_variables
from eye.local.registry import StackInfo, find_stacks
from eye.runtime.logs import configure_logs, quiet_libraries
from schemas.settings import Settings

_MOST_COLUMNS = 120

out, err = Console(), Console(stderr=True)
if not out.is_terminal:
    columns = os.environ.get("COLUMNS", "")
    out.width = int(columns) if columns.isdecimal() and int(columns) else _MOST_COLUMNS

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it without asking.")]

_SERVERS = ("kafka_bootstrap_servers", "postgres_dsn")


def read_settings(*, quiet: bool = True) -> Settings:
    """Read the settings; a stack that runs on this machine lends those that are not set.

    A stack whose Kafka or Postgres differs from the ones that are set lends nothing. Libraries log nothing, unless the
    level is DEBUG or the caller does not want it `quiet`.
    """
    settings = Settings()
    configure_logs(settings.log_level, settings.log_format)
    if quiet and settings.log_level != "DEBUG":
        quiet_libraries()
    stack = find_local_stack(settings)
    if stack is None:
        return settings
    lent = {name[4:].lower(): value for name, value in stack.environment.items() if name.startswith("EYE_")}
    given = settings.model_dump(include=settings.model_fields_set)
    named = {name: str(_plain(value)) for name, value in given.items() if name in _SERVERS and value is not None}
    if any(lent.get(name) != value for name, value in named.items()):
        return settings
    drop_foreign_variables()
    if len(named) == len(_SERVERS):
        lent = {name: value for name, value in lent.items() if name in ("data_dir", "applications")}
    return Settings(**{**lent, **given})


def find_local_stack(settings: Settings | None = None) -> StackInfo | None:
    """Return the one stack that a command means; None where there is none, or more than one.

    Says on stderr which one it is when it runs in another directory than this one's `.eye`.
    """
    found = find_stacks(_given_data_dir(settings or Settings()))
    if len(found) != 1:
        return None
    if found[0].data_dir and Path(found[0].data_dir) not in (Path(".eye").absolute(), _data_dir(settings)):
        err.print(f"eye: using the stack in {found[0].data_dir}", style="dim", markup=False, highlight=False)
    return found[0]


def stack_hint() -> str:
    """Return a sentence: the folders in which no running stack was found, or the stacks to choose from."""
    given = _given_data_dir(Settings())
    stacks = find_stacks(given)
    if len(stacks) > 1:
        return f"Several stacks run, choose one with EYE_DATA_DIR: {', '.join(s.data_dir for s in stacks)}."
    if not stacks and given is not None:
        return f"No stack runs in {given.absolute()} (EYE_DATA_DIR)."
    if not stacks:
        return f"No stack runs in {Path('.eye').absolute()}, in a directory above it, or elsewhere for this user."
    return ""


def _given_data_dir(settings: Settings) -> Path | None:
    return settings.data_dir if "data_dir" in settings.model_fields_set else None


def _data_dir(settings: Settings | None) -> Path:
    return (settings or Settings()).data_dir.absolute()


def _plain(value: Any) -> Any:
    return value.get_secret_value() if hasattr(value, "get_secret_value") else value


def confirm(question: str, yes: bool) -> None:
    """Ask before changing data; without a terminal the answer has to be --yes."""
    if yes:
        return
    if not out.is_terminal:
        fail("this changes data: say --yes")
    typer.confirm(question, abort=True)


def fail(sentence: str) -> NoReturn:
    """Print the reason of a failure, and exit 1."""
    err.print(f"eye: {sentence}", style="red", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(1)


def make_table(columns: Sequence[str]) -> Table:
    """Return a table without lines whose long cells go on in the next line, so that it fits the terminal."""
    table = Table(show_header=any(columns), box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def print_found(found: Any, rows: Iterable[Sequence[str]], columns: Sequence[str], as_json: bool) -> None:
    """Print what was found: JSON for programs, else a table that fits the terminal, or COLUMNS, or 120."""
    if as_json:
        out.print_json(json.dumps(found))
        return
    cells = [list(row) for row in rows]
    width = max((len(row) for row in cells), default=0)
    table = make_table(columns or [""] * width)
    for row in cells:
        table.add_row(*row)
    out.print(table)
