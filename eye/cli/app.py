"""The command `eye`: its subcommands and its exit codes."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Annotated, Any

import typer
from pydantic import ValidationError

from eye.cli import doctor, lag, ledger, processes, retention, schemas, send, status, trace
from eye.cli.errors import EXPECTED_ERRORS, sentence_of
from eye.cli.keys import keys_app
from eye.cli.runs import redrive
from eye.cli.runs.replay import replay_app
from eye.cli.spool import spool_app
from eye.cli.terminal import err, out, stack_hint
from eye.cli.topics import topics_app
from kafka_client.amendments import amend_connections
from schemas.settings import SettingsError

app = typer.Typer(
    name="eye",
    help="The Eye: events by HTTP, through Kafka, into Postgres, exactly once.",
    epilog="First steps: `eye up`, `eye send FILE`, `eye status`. Example: `eye up`",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)


def _command(function: Callable[..., None], example: str, **options: Any) -> None:
    app.command(epilog=f"Example: `{example}`", **options)(function)


_EXTRA = {"context_settings": {"allow_extra_args": True, "ignore_unknown_options": True}}

# in the order of the help: what people do first comes first
_command(processes.up, "eye up")
_command(send.send, "eye send events.ndjson --url http://127.0.0.1:8080 --key KEY")
_command(status.status, "eye status")
_command(doctor.doctor, "eye doctor --json")
_command(lag.lag, "eye lag --watch")
_command(trace.trace, "eye trace order-1 --since 1h")
_command(ledger.ledger, "eye ledger --since 2h")
_command(status.psql, "eye psql -c 'select count(*) from eye.events'", **_EXTRA)
_command(status.pg_dump, "eye pg_dump --schema eye --file eye.sql", name="pg_dump", **_EXTRA)
_command(status.kafka, "eye kafka console-consumer --topic events.validated --from-beginning", **_EXTRA)
_command(status.print_environment, 'eval "$(eye env)"', name="env")
app.add_typer(keys_app, name="keys")
app.add_typer(schemas.schemas_app, name="schemas")
app.add_typer(replay_app, name="replay")
_command(redrive.redrive, "eye redrive --code missing_field --transform steps.toml --dry-run")
_command(retention.retention, "eye retention --dry-run")
app.add_typer(topics_app, name="topics")
app.add_typer(spool_app, name="spool")
_command(processes.migrate, "eye migrate --json")
_command(processes.gateway, "EYE_GATEWAY_PORT=9000 eye gateway")
_command(processes.stream, "eye stream")
_command(processes.sinks, "eye sinks")
_command(processes.console, "eye console")


def _print_version(wanted: bool) -> None:
    if wanted:
        out.print(f"eye {version('the-eye')}", highlight=False)
        raise typer.Exit


@app.callback()
def _options(
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Run The Eye: events by HTTP, through Kafka, into Postgres, exactly once."""


def main() -> None:
    """Run the command; exits 0, 1 when it failed, 2 when it was used wrongly."""
    amend_connections()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that is not UTF-8 lacks characters that data has
    try:
        app()
    except EXPECTED_ERRORS as error:
        sentence = sentence_of(error)
        if isinstance(error, SettingsError) and (hint := stack_hint()):
            sentence = f"{sentence} {hint}"
        err.print(f"eye: {sentence}", style="red", markup=False, highlight=False, soft_wrap=True)
        raise SystemExit(1) from None
    except ValidationError as error:
        for fault in error.errors():
            name = "_".join(["EYE", *map(str, fault["loc"])]).upper()
            err.print(f"eye: {name}: {fault['msg']}", style="red", markup=False, highlight=False)
        raise SystemExit(2) from None
