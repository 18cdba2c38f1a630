"""The catalogue's exports as files: written, and read from a directory or a git ref."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from schemas.catalogue import Catalogue
from schemas.contracts.asyncapi import asyncapi
from schemas.contracts.json_schemas import json_schemas
from schemas.contracts.odcs import data_contract
from schemas.contracts.published import PublishedError, read_directory, read_documents
from schemas.settings import Settings

Json = dict[str, Any]


class ExportFormat(StrEnum):
    """The forms of the catalogue for others."""

    JSONSCHEMA = "jsonschema"
    ASYNCAPI = "asyncapi"
    ODCS = "odcs"


_FORMS: Mapping[ExportFormat, Callable[[Catalogue, Settings], dict[str, Json]]] = {
    ExportFormat.JSONSCHEMA: lambda catalogue, _: {f"jsonschema/{n}": d for n, d in json_schemas(catalogue).items()},
    ExportFormat.ASYNCAPI: lambda catalogue, settings: {"asyncapi.json": asyncapi(catalogue, settings)},
    ExportFormat.ODCS: lambda catalogue, settings: {"odcs.json": data_contract(catalogue, settings)},
}


def documents(settings: Settings, form: ExportFormat) -> dict[str, Json]:
    """Return the documents of a form, by the path of their file in an export. Raises CatalogueError."""
    return _FORMS[form](settings.rules().catalogue, settings)


def write_documents(settings: Settings, directory: Path, forms: Iterable[ExportFormat]) -> int:
    """Write documents into a directory, without those of JSON Schema that are of no known version; return how many."""
    written = 0
    for form in forms:
        found = documents(settings, form)
        for path, document in found.items():
            file = directory / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
            written += 1
        if form is ExportFormat.JSONSCHEMA:
            for file in (directory / "jsonschema").glob("*.v*.json"):
                if f"jsonschema/{file.name}" not in found:
                    file.unlink()
    return written


def check_examples(catalogue: Catalogue) -> list[Json]:
    """Hold the examples that the types state against their rules; return the faults."""
    faults: list[Json] = []
    for known in catalogue:
        named = {"category": known.category, "name": known.name, "version": known.version}
        for number, example in enumerate(known.model.event_examples, 1):
            try:
                known.check(json.dumps(example))
            except ValidationError as error:
                reasons = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
                faults.append(named | {"fault": f"example {number}: {reasons}"})
            except Exception as error:  # a bug of the type's own rules
                faults.append(named | {"fault": f"example {number}: {type(error).__name__}: {error}"})
    return faults


def published(against: str, export: Path) -> list[Json]:
    """Return the JSON Schemas of a directory, or those committed at a git ref. Raises PublishedError."""
    if Path(against).is_dir():
        return read_directory(Path(against))
    folder = f"{(export / 'jsonschema').as_posix()}/"
    listed = _git("ls-tree", "--name-only", "-z", "--end-of-options", against, folder)
    paths = [path for path in listed.split("\0") if path.endswith(".json")]
    return read_documents({path: _git("show", "--end-of-options", f"{against}:./{path}") for path in paths}, against)


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise PublishedError("git is not installed: name a directory of JSON Schemas") from None
    if done.returncode:
        raise PublishedError(f"neither a directory nor a git ref: {done.stderr.strip()}")
    return done.stdout
