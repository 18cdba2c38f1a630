"""The command `eye`: what it takes and prints. What it does stands in the modules it calls."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import psycopg
import typer
from aiokafka.errors import KafkaError
from pydantic import ValidationError
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from eye.cli import operators
from eye.cli.redrive import redrive
from eye.cli.replay import replay_app
from eye.cli.terminal import AsJson, Yes, err, out
from eye.cli.terminal import confirm as _confirm
from eye.cli.terminal import fail as _fail
from eye.cli.terminal import print_found as _print
from eye.cli.terminal import read_settings as _settings
from eye.local.errors import LocalError
from eye.local.stack import read_note
from eye.operations import doctor, keys
from eye.operations.send import SendError, send_file
from eye.operations.topics import TopicMissing
from eye.operations.trace import TraceError
from eye.operations.wait_until_stored import NotSettled
from eye.runs.errors import ReplayError
from eye.runtime.logs import configure_logs, is_json, log_what_ends_threads
from kafka_client.amendments import amend_connections
from schemas.catalogue import CatalogueError
from schemas.event import MAX_TEXT
from schemas.settings import Settings, SettingsError
from sinks.postgres.migrate import MigrationError

log = logging.getLogger(__name__)

app = typer.Typer(
    name="eye",
    help="The Eye: events by HTTP, through Kafka, into Postgres, exactly once.",
    epilog="Example: `eye up`",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="markdown",
)
topics_app = typer.Typer(help="The topics in Kafka.", no_args_is_help=True)
keys_app = typer.Typer(help="The applications' keys, in applications.toml.", no_args_is_help=True)
app.add_typer(topics_app, name="topics")
app.add_typer(keys_app, name="keys")
app.add_typer(replay_app, name="replay")
app.command(epilog="Example: `eye redrive --code missing_field --transform steps.toml --dry-run`")(redrive)

_EXPECTED = (
    SettingsError, CatalogueError, LocalError, SendError, NotSettled, MigrationError, keys.KeyFileError,
    TopicMissing, TraceError, ReplayError, KafkaError, psycopg.Error, OSError,
)  # fmt: skip


app.command(epilog="Example: `eye lag --watch`")(operators.lag)
app.command(epilog="Example: `eye trace order-1 --since 1h`")(operators.trace)
app.command(epilog="Example: `eye ledger --since 2h`")(operators.ledger)
app.command(epilog="Example: `eye retention --dry-run`")(operators.retention)


def main() -> None:
    """Run the command; exits 0, 1 when it failed, 2 when it was used wrongly."""
    amend_connections()
    try:
        app()
    except _EXPECTED as error:
        err.print(
            f"eye: {str(error).strip() or repr(error)}", style="red", markup=False, highlight=False, soft_wrap=True
        )
        raise SystemExit(1) from None
    except ValidationError as error:
        for fault in error.errors():
            name = "_".join(["EYE", *map(str, fault["loc"])]).upper()
            err.print(f"eye: {name}: {fault['msg']}", style="red", markup=False, highlight=False)
        raise SystemExit(2) from None


@app.command(epilog="Example: `eye up`")
def up(
    send: Annotated[
        Path | None, typer.Option(help="Send this NDJSON file, and show what it became.", exists=True, dir_okay=False)
    ] = None,
    once: Annotated[bool, typer.Option(help="Stop after that, instead of at Ctrl-C.")] = False,
) -> None:
    """Run all of it on this machine: Kafka, Postgres, gateway, stream, sinks."""
    from eye.local.up import up as run

    settings = Settings()
    configure_logs("WARNING", settings.log_format)
    run(settings, out, send=send, once=once)


@app.command(epilog="Example: `EYE_GATEWAY_PORT=9000 eye gateway`")
def gateway() -> None:
    """Take events by HTTP and write them to Kafka, until SIGTERM."""
    from eye.runtime.processes import run_gateway

    _serve(run_gateway)


@app.command(epilog="Example: `eye stream`")
def stream() -> None:
    """Judge raw events and group them by session, until SIGTERM."""
    from eye.runtime.processes import run_stream

    _serve(run_stream)


@app.command(epilog="Example: `eye sinks`")
def sinks() -> None:
    """Store verdicts and sessions in Postgres, until SIGTERM."""
    from eye.runtime.processes import run_sinks

    _serve(run_sinks)


def _serve(run: Callable[[Settings], None]) -> None:
    """Run a process; where its log is JSON, so is what ends it."""
    settings = _settings()
    if not is_json(settings.log_format):
        return run(settings)
    log_what_ends_threads()
    try:
        run(settings)
    except Exception as error:
        log.critical("%s", str(error) or repr(error), exc_info=not isinstance(error, _EXPECTED))
        raise typer.Exit(1) from None


@app.command(epilog="Example: `eye migrate --json`")
def migrate(as_json: AsJson = False) -> None:
    """Bring Postgres' schema up to date; does nothing when it is."""
    from sinks.postgres.migrate import migrate as apply

    applied = asyncio.run(apply(_settings().dsn))
    _print({"applied": applied}, [["applied", name] for name in applied] or [["nothing to do", ""]], [], as_json)


@topics_app.command("create", epilog="Example: `EYE_PARTITIONS=12 eye topics create`")
def create_topics(as_json: AsJson = False) -> None:
    """Make the topics that are missing; those that exist stay as they are."""
    from eye.operations.topics import create_topics as create

    _print_topics(asyncio.run(create(_settings())), as_json)


@topics_app.command("check", epilog="Example: `eye topics check`")
def check_topics(as_json: AsJson = False) -> None:
    """Hold the topics against what is expected; exits 1 when one differs."""
    from eye.operations.topics import check_topics as check

    states = asyncio.run(check(_settings()))
    _print_topics(states, as_json)
    if any(state.differences for state in states):
        raise typer.Exit(1)


def _print_topics(states: Sequence[Any], as_json: bool) -> None:
    rows = [
        [s.name, str(s.partitions or ""), "made now" if s.created else "", "; ".join(s.differences)] for s in states
    ]
    found = [{name: getattr(s, name) for name in ("name", "partitions", "created", "differences")} for s in states]
    _print(found, rows, ["topic", "partitions", "", "differs"], as_json)


@app.command(epilog="Example: `eye send events.ndjson --url http://127.0.0.1:8080 --key KEY`")
def send(
    file: Annotated[Path, typer.Argument(help="Events, one JSON object a line.", exists=True, dir_okay=False)],
    url: Annotated[
        str | None, typer.Option(envvar="EYE_URL", help="The gateway; default: the stack that runs here.")
    ] = None,
    key: Annotated[str | None, typer.Option(envvar="EYE_KEY", help="An application's key with scope `write`.")] = None,
    as_json: AsJson = False,
) -> None:
    """Send a file of events; exits 1 when some were refused."""
    note = read_note(Settings().data_dir) or {}
    url, key = url or note.get("url"), key or note.get("key")
    if not url or not key:
        raise SendError("no stack runs here: name the gateway with --url and a key with --key")
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err) as progress:
        task = progress.add_task(file.name, total=file.stat().st_size)
        counts = asyncio.run(send_file(file, url, key, lambda size: progress.advance(task, size)))
    _print(
        dict(counts), [[status, str(count)] for status, count in sorted(counts.items())], ["status", "events"], as_json
    )
    if set(counts) - {"ok"}:
        raise typer.Exit(1)


@app.command("doctor", epilog="Example: `eye doctor --json`")
def examine(as_json: AsJson = False) -> None:
    """Show the effective settings and what is wrong, each with its mend; exits 1 when something is."""
    settings = _settings()
    shown, findings = doctor.effective_settings(settings), doctor.examine(settings)
    if as_json:
        found = [{"what": f.what, "ok": f.ok, "seen": f.seen, "mend": None if f.ok else f.mend} for f in findings]
        out.print_json(json.dumps({"settings": shown, "findings": found}))
    else:
        _print(None, [[name, value] for name, value in shown.items()], ["setting", "value"], False)
        rows = [["ok" if f.ok else "WRONG", f.what, f.seen, "" if f.ok else f.mend] for f in findings]
        _print(None, rows, ["", "what", "seen", "mend"], False)
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)


@app.command(epilog="Example: `eye schemas`")
def schemas(as_json: AsJson = False) -> None:
    """List the event types that are known."""
    catalogue = list(_settings().rules().catalogue)
    found = [{"category": t.category, "name": t.name, "version": t.version} for t in catalogue]
    rows = [[t.category, t.name, str(t.version), t.model.__module__] for t in catalogue]
    _print(found, rows, ["category", "name", "version", "module"], as_json)


@keys_app.command("add", epilog="Example: `eye keys add shop --scopes write,read`")
def add_key(
    application: str,
    scopes: Annotated[str, typer.Option(help="What the key may do: write, read, or both.")] = "write",
) -> None:
    """Make a key for an application and print it, once: only its SHA-256 is kept."""
    if not 1 <= len(application) <= MAX_TEXT:
        raise typer.BadParameter(f"an application's name has 1 to {MAX_TEXT} characters")
    wanted = [scope.strip() for scope in scopes.split(",")]
    if unknown := set(wanted) - set(keys.SCOPES):
        raise typer.BadParameter(f"no such scope: {', '.join(sorted(unknown))}; there are write and read")
    out.print(keys.add_key(_settings().applications_file, application, wanted), markup=False, highlight=False)


@keys_app.command("list", epilog="Example: `eye keys list --json`")
def list_keys(as_json: AsJson = False) -> None:
    """List the applications' keys by the beginning of their SHA-256."""
    _print_keys(keys.list_keys(_settings().applications_file), as_json)


@keys_app.command("revoke", epilog="Example: `eye keys revoke 3fc1a2b4`")
def revoke_key(
    fingerprint: Annotated[
        str, typer.Argument(help="The beginning of the key's SHA-256, as `eye keys list` shows it.")
    ],
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Take a key out of the file; the gateways stop taking it within a second."""
    path = _settings().applications_file
    found = [entry for entry in keys.list_keys(path) if entry.sha256.startswith(fingerprint)]
    if len(found) != 1:
        _fail(f"{len(found)} keys begin with {fingerprint}; `eye keys list` shows them")
    _confirm(f"Revoke a key of {found[0].application}?", yes)
    _print_keys(keys.revoke_key(path, fingerprint), as_json)


def _print_keys(entries: Iterable[keys.KeyEntry], as_json: bool) -> None:
    entries = list(entries)
    found = [{"application": e.application, "sha256": e.fingerprint, "scopes": e.scopes} for e in entries]
    rows = [[e.application, e.fingerprint, ", ".join(e.scopes)] for e in entries]
    _print(found, rows, ["application", "sha256", "scopes"], as_json)
