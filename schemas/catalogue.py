"""The catalogue of event types and their versions, loaded from packages and directories."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

from schemas.fast_payloads import FastPayload, fast_payload
from schemas.payload import Payload, PayloadJsonSchema


class CatalogueError(Exception):
    """A catalogue that cannot be used; the message says what to correct."""


@dataclass(frozen=True)
class EventType:
    """One version of one event type."""

    category: str
    name: str
    version: int
    model: type[Payload]

    def check(self, data: bytes | str) -> None:
        """Check a payload's JSON against the rules. Raises pydantic's ValidationError with every violation.

        Any other exception is a bug in the model.
        """
        self.model.__pydantic_validator__.validate_json(data)

    @cached_property
    def fast_payload(self) -> FastPayload | None:
        """A fast decoder for payloads whose rules are only types; None for others."""
        return fast_payload(self.model)

    def json_schema(self) -> dict[str, Any]:
        """Return the payload's JSON Schema (2020-12), with `x-owner` and the like as far as the model states them."""
        model, schema = self.model, self.model.model_json_schema(schema_generator=PayloadJsonSchema)
        schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
        if model.event_owner:
            schema["x-owner"] = model.event_owner
        if model.event_deprecated:
            schema["deprecated"] = True
        if isinstance(model.event_deprecated, str):
            schema["x-deprecation"] = model.event_deprecated
        if model.event_examples:
            schema["examples"] = list(model.event_examples)
        return schema


class Catalogue:
    """Every event type by (category, name), with all its versions."""

    def __init__(self, event_types: Iterable[EventType]) -> None:
        self._versions: dict[tuple[str, str], dict[int, EventType]] = {}
        for event_type in event_types:
            versions = self._versions.setdefault((event_type.category, event_type.name), {})
            if event_type.version in versions:
                raise CatalogueError(
                    f"{event_type.category}/{event_type.name} version {event_type.version} is there twice:"
                    f" {versions[event_type.version].model.__module__} and {event_type.model.__module__}"
                )
            versions[event_type.version] = event_type
        self._found: dict[tuple[str, str, int | None], EventType] = {}
        self._defaults: dict[tuple[str, str], list[tuple[datetime, EventType]]] = {}
        for (category, name), versions in self._versions.items():
            self._found |= {(category, name, version): event_type for version, event_type in versions.items()}
            self._found[category, name, None] = _first_default(versions)
            if changes := _changes_of_default(versions):
                self._defaults[category, name] = changes

    def __iter__(self) -> Iterator[EventType]:
        """Each version of each type, sorted."""
        for key in sorted(self._versions):
            yield from (self._versions[key][version] for version in sorted(self._versions[key]))

    def find(
        self, category: str, name: str, version: int | None = None, received_at: datetime | None = None
    ) -> EventType | None:
        """Return a version of a type; None if it is unknown.

        Without a version it is the type's default when an event was received: of the versions with `default_since`
        the one with the latest moment until then, else the one with `default=True`, else the lowest. A version that
        is added without such a statement changes nothing for events that name none.
        """
        if version is None and received_at is not None and (changes := self._defaults.get((category, name))):
            position = bisect_right(changes, received_at, key=_moment)
            if position:
                return changes[position - 1][1]
        return self._found.get((category, name, version))

    def latest(self, category: str, name: str) -> EventType | None:
        """Return the highest version of a type; None if it is unknown."""
        versions = self._versions.get((category, name))
        return versions[max(versions)] if versions else None


def _first_default(versions: Mapping[int, EventType]) -> EventType:
    """Return the version that is the default before any `default_since`. Raises CatalogueError if two say so."""
    stated = [event_type for event_type in versions.values() if event_type.model.event_default]
    if len(stated) > 1:
        raise CatalogueError(f"{_both(stated)} are both the default: leave default=True at one of them")
    return stated[0] if stated else versions[min(versions)]


def _changes_of_default(versions: Mapping[int, EventType]) -> list[tuple[datetime, EventType]]:
    """Return the moments from which another version is the default, in order.

    Raises CatalogueError if one moment has two.
    """
    changes = [(moment, known) for known in versions.values() for moment in known.model.event_default_since]
    changes.sort(key=_moment)
    for (moment, earlier), (next_moment, later) in pairwise(changes):
        if moment == next_moment:
            raise CatalogueError(f"{_both([earlier, later])} both become the default at {moment.isoformat()}")
    return changes


def _moment(change: tuple[datetime, EventType]) -> datetime:
    return change[0]


def _both(event_types: list[EventType]) -> str:
    first, second = event_types[:2]
    return f"{first.category}/{first.name} versions {first.version} and {second.version}"


def load_catalogue(places: Iterable[str]) -> Catalogue:
    """Collect the event types of packages (`company.events`) and directories (`./events`).

    A type is any subclass of `Payload` with a category and a name. Raises CatalogueError, naming the place, if it
    cannot be imported or holds no event type.
    """
    event_types: list[EventType] = []
    for place in places:
        try:
            modules = list(_modules(place))
        except CatalogueError:
            raise
        except Exception as error:
            raise CatalogueError(f"event types of {place!r} can't be imported: {error}") from error
        found = [event_type for module in modules for event_type in _event_types_of(module)]
        if not found:
            raise CatalogueError(f"{place!r} holds no event type: a subclass of schemas.payload.Payload")
        event_types += found
    return Catalogue(event_types)


def _modules(place: str) -> Iterator[ModuleType]:
    """Import every module of a package, or every .py file of a directory."""
    if Path(place).is_dir():
        for path in sorted(Path(place).glob("*.py")):
            spec = importlib.util.spec_from_file_location(f"_event_types_{path.stem}", path)
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            yield module
        return
    if "/" in place:
        raise CatalogueError(f"event types: there is no directory {place!r}")
    package = importlib.import_module(place)
    yield package
    for found in pkgutil.iter_modules(getattr(package, "__path__", [])):
        yield importlib.import_module(f"{place}.{found.name}")


def _event_types_of(module: ModuleType) -> Iterator[EventType]:
    for model in vars(module).values():
        if not isinstance(model, type) or not issubclass(model, Payload) or model.__module__ != module.__name__:
            continue
        if model.event_category is not None and model.event_name is not None:
            yield EventType(model.event_category, model.event_name, model.event_version, model)
