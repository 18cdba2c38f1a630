"""What every command shares: its settings, how it prints, how it asks and how it fails."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from eye.local.environment import drop_foreign_variables
from eye.local.stack import read_note
from eye.runtime.logs import configure_logs
from schemas.settings import Settings

_WIDTH_OF_FILES = 160

out, err = Console(), Console(stderr=True)
if not out.is_terminal:
    out.width = _WIDTH_OF_FILES

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do it without asking.")]


def read_settings() -> Settings:
    """Read the settings; a stack that runs here lends what they lack."""
    settings = Settings()
    configure_logs(settings.log_level, settings.log_format)
    note = read_note(settings.data_dir)
    if note is not None and settings.kafka_bootstrap_servers is None and settings.postgres_dsn is None:
        drop_foreign_variables()
        lent = {name[4:].lower(): value for name, value in note.items() if name.startswith("EYE_")}
        settings = Settings(**{**lent, **settings.model_dump(include=settings.model_fields_set)})
    return settings


def confirm(question: str, yes: bool) -> None:
    """Ask before changing data; without a terminal the answer has to be --yes."""
    if yes:
        return
    if not out.is_terminal:
        fail("this changes data: say --yes")
    typer.confirm(question, abort=True)


def fail(sentence: str) -> NoReturn:
    """Say why it can't be done, and exit 1."""
    err.print(f"eye: {sentence}", style="red", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(1)


def print_found(found: Any, rows: Iterable[Sequence[str]], columns: Sequence[str], as_json: bool) -> None:
    """Print what was found: JSON for programs, else a table."""
    if as_json:
        out.print_json(json.dumps(found))
        return
    table = Table(*columns, show_header=bool(columns), box=None)
    for row in rows:
        table.add_row(*row)
    out.print(table, soft_wrap=True)
