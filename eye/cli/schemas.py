"""Commands `eye schemas list`, `show`, `check`, `export`, `compat` and `diff`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from eye.cli.terminal import AsJson, fail, out, print_found, read_settings
from eye.operations.schemas import ExportFormat, check_examples, documents, published, write_documents
from schemas.contracts.compat import Change, Mode, compare_catalogues
from schemas.contracts.json_schemas import document, json_schemas

schemas_app = typer.Typer(help="The catalogue of event types: what is known, as documents, and what a change breaks.")

Against = Annotated[
    str, typer.Option(metavar="GITREF|DIR", help="A git ref with its committed export, or a directory of JSON Schemas.")
]
ExportPath = Annotated[Path, typer.Option("--export", help="Where the export is in the repository of a git ref.")]
_EXPORT = Path("schemas/export")


@schemas_app.callback(invoke_without_command=True, epilog="Example: `eye schemas --json`")
def schemas(context: typer.Context, as_json: AsJson = False) -> None:
    """List the event types that are known, as `eye schemas list` does."""
    if context.invoked_subcommand is None:
        _list(as_json)


@schemas_app.command("list", epilog="Example: `eye schemas list --json`")
def list_types(as_json: AsJson = False) -> None:
    """List the event types that are known, with the version that judges events which name none."""
    _list(as_json)


def _list(as_json: bool) -> None:
    catalogue = read_settings().rules().catalogue
    found = [{"category": t.category, "name": t.name, "version": t.version} for t in catalogue]
    rows = []
    for known in catalogue:
        since = [moment.isoformat() for moment in known.model.event_default_since]
        first = ["always"] if catalogue.find(known.category, known.name) == known else []
        default, owner = ", ".join(first + since), known.model.event_owner or ""
        rows.append([known.category, known.name, str(known.version), default, owner, known.model.__module__])
    print_found(found, rows, ["category", "name", "version", "default since", "owner", "module"], as_json)


@schemas_app.command("show", epilog="Example: `eye schemas show 'page interaction' pageview`")
def show(category: str, name: str, version: int | None = None) -> None:
    """Print the JSON Schema of an event type's payload; of its latest version unless one is given."""
    catalogue = read_settings().rules().catalogue
    known = catalogue.latest(category, name) if version is None else catalogue.find(category, name, version)
    if known is None:
        fail(f"there is no {category} / {name}{f' version {version}' if version else ''}; `eye schemas list` shows all")
    out.print_json(json.dumps(document(known, catalogue)))


@schemas_app.command("check", epilog="Example: `eye schemas check`")
def check(as_json: AsJson = False) -> None:
    """Load the catalogue, and hold the examples of each event type against its rules; exits 1 on a fault."""
    faults = check_examples(read_settings().rules().catalogue)
    rows = [[f"{f['category']} / {f['name']}", str(f["version"]), str(f["fault"])] for f in faults]
    print_found(faults, rows or [["The catalogue is valid.", "", ""]], [], as_json)
    if faults:
        raise typer.Exit(1)


@schemas_app.command(
    "export", epilog="Example: `eye schemas export --format asyncapi`, or `eye schemas export --to DIR`"
)
def export(
    form: Annotated[
        ExportFormat | None, typer.Option("--format", help="Which of the documents; all, with --to.")
    ] = None,
    to: Annotated[Path | None, typer.Option(metavar="DIR", help="Write files into a directory instead.")] = None,
) -> None:
    """Print the catalogue as JSON Schema, AsyncAPI 3 or Open Data Contract Standard 3, or write it as files."""
    settings = read_settings()
    if to is not None:
        written = write_documents(settings, to, [form] if form else list(ExportFormat))
        out.print(f"{written} files in {to}", highlight=False, markup=False)
        return
    if form is None:
        raise typer.BadParameter("say --format jsonschema, asyncapi or odcs, or --to DIR for all")
    found: Any = list(documents(settings, form).values())
    out.print_json(json.dumps(found if form is ExportFormat.JSONSCHEMA else found[0]))


@schemas_app.command("compat", epilog="Example: `eye schemas compat --against HEAD`")
def compat(
    against: Against,
    mode: Annotated[
        Mode, typer.Option(help="Who must go on working: old senders, old readers, or both.")
    ] = Mode.BACKWARD,
    export_path: ExportPath = _EXPORT,
    as_json: AsJson = False,
) -> None:
    """Compare the catalogue with a published one: what each change breaks, and why; exits 1 on a break."""
    changes = _changes(against, export_path)
    _print_changes(changes, mode, as_json)
    if any(change.breaks(mode) for change in changes):
        raise typer.Exit(1)


@schemas_app.command("diff", epilog="Example: `eye schemas diff --against HEAD`")
def diff(against: Against, export_path: ExportPath = _EXPORT, as_json: AsJson = False) -> None:
    """Show what changed since a published catalogue, as `compat` does, whatever it breaks."""
    _print_changes(_changes(against, export_path), Mode.FULL, as_json)


def _changes(against: str, export_path: Path) -> list[Change]:
    new = json_schemas(read_settings().rules().catalogue).values()
    return compare_catalogues(published(against, export_path), new)


def _print_changes(changes: list[Change], mode: Mode, as_json: bool) -> None:
    if as_json:
        out.print_json(json.dumps([asdict(change) | {"breaks": change.breaks(mode)} for change in changes]))
        return
    for change in changes:
        verdict = "BREAKS" if change.breaks(mode) else "ok"
        lines = [f"{verdict} {change.category} / {change.name} version {change.version}: {change.path} {change.what}"]
        lines.append(f"  old senders {f'break: {change.senders}' if change.senders else 'go on'}")
        lines.append(f"  old readers {f'break: {change.readers}' if change.readers else 'go on'}")
        if change.example is not None:
            lines.append(f"  as by {json.dumps(change.example)}")
        out.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)
    if not changes:
        out.print("Nothing changed.")
