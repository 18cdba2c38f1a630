"""A published catalogue as exported JSON Schemas, and the rules of processes that judge: never ones that break it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from schemas.catalogue import Catalogue, CatalogueError
from schemas.contracts.compat import Change, by_version, changes_of_versions
from schemas.contracts.json_schemas import describes, json_schemas
from schemas.rules import Rules
from schemas.settings import Settings

Json = dict[str, Any]


class PublishedError(CatalogueError):
    """A published catalogue that can't be read, or that the known one breaks; the message says what to do."""


def judging_rules(settings: Settings) -> Rules:
    """Return the rules for events, to judge by.

    Raises PublishedError if the catalogue refuses what a version of EYE_PUBLISHED_TYPES accepts, unless that version
    is named in EYE_ACCEPTED_BREAKS; and CatalogueError if there is none.
    """
    rules = settings.rules()
    if settings.published_types is not None:
        _check(rules.catalogue, read_directory(settings.published_types), settings.accepted_breaks)
    return rules


def _check(catalogue: Catalogue, published: list[Json], accepted: list[str]) -> None:
    changes = changes_of_versions(by_version(published), by_version(json_schemas(catalogue).values()))
    breaks = [change for change in changes if change.senders and _named(change) not in accepted]
    if breaks:
        first, names = breaks[0], ",".join(dict.fromkeys(_named(change) for change in breaks))
        raise PublishedError(
            f"the catalogue breaks published event types: {_named(first)} at {first.path}: {first.senders}"
            f"{f' (and {len(breaks) - 1} more)' if len(breaks) > 1 else ''}. Nothing is judged, events wait:"
            f" make it a new version, or set EYE_ACCEPTED_BREAKS={names}"
        )


def _named(change: Change) -> str:
    return f"{change.category}/{change.name}/{change.version}"


def read_directory(directory: Path) -> list[Json]:
    """Read the JSON Schemas of an export, or of its directory `jsonschema`. Raises PublishedError."""
    nested = directory / "jsonschema"
    files = sorted((nested if nested.is_dir() else directory).glob("*.json"))
    try:
        texts = {str(file): file.read_text(encoding="utf-8") for file in files}
    except (OSError, UnicodeDecodeError) as error:
        raise PublishedError(f"published event types can't be read: {error}") from error
    return read_documents(texts, str(directory))


def read_documents(texts: Mapping[str, str], place: str) -> list[Json]:
    """Read JSON Schemas of event types by file name. Raises PublishedError if there are none, or if one is no such."""
    if not texts:
        raise PublishedError(f"{place} has no exported JSON Schemas: `eye schemas export --to DIR` writes them")
    found = []
    for name, text in texts.items():
        try:
            schema = json.loads(text)
            describes(schema)
        except ValueError as error:
            raise PublishedError(f"{name}: {error}") from error
        found.append(schema)
    return found
