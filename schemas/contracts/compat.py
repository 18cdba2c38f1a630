"""Say what a change of the catalogue breaks: for those who send events, and for those who read them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from schemas.contracts.json_schemas import TYPE_KEY, describes
from schemas.contracts.refusals import Refusal, find_refusals, is_valid
from schemas.contracts.samples import Unending, sample_value

Json = dict[str, Any]
Version = tuple[str, str, int]


class Mode(StrEnum):
    """Those who must go on working: old senders (backward), old readers (forward), or both (full)."""

    BACKWARD = "backward"
    FORWARD = "forward"
    FULL = "full"


@dataclass(frozen=True)
class Change:
    """A change of one version of an event type, at one place of its payload.

    `senders` is why old senders break: the new rules refuse what the old ones accepted. `readers` is why old readers
    break: the new rules accept what the old ones refused. None: they go on working. `example` is an event that shows
    it, None where none was found.
    """

    category: str
    name: str
    version: int
    path: str
    what: str
    senders: str | None = None
    readers: str | None = None
    example: Json | None = None

    def breaks(self, mode: Mode) -> bool:
        """Return whether somebody breaks whom the mode wants to go on working."""
        sides = {Mode.BACKWARD: [self.senders], Mode.FORWARD: [self.readers], Mode.FULL: [self.senders, self.readers]}
        return any(sides[mode])


def compare_catalogues(old: Iterable[Json], new: Iterable[Json]) -> list[Change]:
    """Return the changes from one catalogue to another, both as exported JSON Schemas, by type and version."""
    before, after = by_version(old), by_version(new)
    return changes_of_versions(before, after) + list(_changes_of_default(before, after))


def changes_of_versions(before: Mapping[Version, Json], after: Mapping[Version, Json]) -> list[Change]:
    """Return the changes of the versions themselves, whichever of them is the default."""
    found: list[Change] = []
    for key in sorted(before.keys() | after.keys()):
        if key not in after:
            found.append(_gone(key, before[key]))
        elif key not in before:
            found.append(Change(*key, "$", "added: senders and readers of other versions notice nothing"))
        else:
            found += compare_schemas(before[key], after[key])
    return found


def compare_schemas(old: Json, new: Json) -> list[Change]:
    """Return the changes of one version, by path; each is shown by a payload that one side accepts alone."""
    refused = {refusal.path: refusal for refusal in reversed(find_refusals(old, new))}
    let_in = {refusal.path: refusal for refusal in reversed(find_refusals(new, old))}
    return [
        _change(old, new, path, refused.get(path), let_in.get(path)) for path in sorted(refused.keys() | let_in.keys())
    ]


def _change(old: Json, new: Json, path: str, refused: Refusal | None, let_in: Refusal | None) -> Change:
    shown = None
    if refused and _shows(refused.value, old, new):
        shown = _event(old, refused.value)
    elif let_in and _shows(let_in.value, new, old):
        shown = _event(new, let_in.value)
    what = "narrowed" if refused and not let_in else "widened" if let_in and not refused else "changed"
    senders = f"the new rules: {refused.why}" if refused else None
    readers = f"by the old rules: {let_in.why}" if let_in else None
    return Change(*describes(old), f"$.data{path[1:]}", what, senders, readers, shown)


def _shows(payload: Any, accepting: Json, refusing: Json) -> bool:
    return isinstance(payload, dict) and is_valid(accepting, payload) and not is_valid(refusing, payload)


def _gone(key: Version, schema: Json) -> Change:
    try:
        example = _event(schema, sample_value(schema, schema.get("$defs", {}), ""))
    except Unending:
        example = None
    return Change(*key, "$", "removed", "events of this version are rejected", None, example)


def _changes_of_default(before: Mapping[Any, Json], after: Mapping[Any, Json]) -> Iterator[Change]:
    """Yield for each type what senders that name no version meet: another default, from the beginning or from a moment.

    A default counts as broken where it refuses what the last default accepted.
    """
    for category, name in sorted({key[:2] for key in before} & {key[:2] for key in after}):
        old, new = (_defaults(schemas, category, name) for schemas in (before, after))
        if old == new or not old or not new:
            continue
        moment, version = next((pair for pair in new if pair not in old), new[-1])
        last, now = before[category, name, old[-1][1]], after[category, name, version]
        refused = find_refusals(last, now)
        senders = f"for events that name no version: {refused[0].path}: {refused[0].why}" if refused else None
        when = f"from {moment}" if moment else "from the beginning, so that a replay judges otherwise"
        shown = refused[0].value if refused and _shows(refused[0].value, last, now) else None
        event = None if shown is None else {k: v for k, v in _event(last, shown).items() if k != "schema_version"}
        yield Change(category, name, version, "$", f"the default {when}", senders, None, event)


def _defaults(schemas: Mapping[Any, Json], category: str, name: str) -> list[tuple[str, int]]:
    """Return the moments of a type's defaults with their versions; the one of the beginning has no moment."""
    found = []
    for key, schema in schemas.items():
        if key[:2] == (category, name):
            stated = schema[TYPE_KEY]
            found += [("", key[2])] if stated.get("default") else []
            found += [(moment, key[2]) for moment in stated.get("default_since", [])]
    return sorted(found)


def by_version(schemas: Iterable[Json]) -> dict[Version, Json]:
    """Return exported JSON Schemas by category, name and version."""
    return {describes(schema): schema for schema in schemas}


def _event(schema: Json, payload: Any) -> Json:
    category, name, version = describes(schema)
    return {"category": category, "name": name, "schema_version": version, "data": payload}
