"""Members of an item that a read asks for (`fields=`), and conditions on its payload (`data.<path>=value`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from gateway.query.parameters import DATA, DataCondition, Parameter, parse_path, text

MAX_FIELDS = 100


def parse_fields(value: str) -> tuple[str, ...]:
    """Read a list of names, parted by commas, each once."""
    names = tuple(dict.fromkeys(name.strip() for name in text(value).split(",")))
    if len(names) > MAX_FIELDS:
        raise ValueError(f"at most {MAX_FIELDS} names")
    for name in names:
        if _is_inner(name):
            parse_path(name)
    return names


FIELDS = Parameter(
    "fields",
    "Names of the members to answer with, parted by commas; `data.<path>` is a value inside the payload.",
    parse=parse_fields,
)


def inner_columns(column: str, names: Sequence[str]) -> str:
    """Return the columns of a select for those of the names that are values inside the payload in `column`."""
    found = enumerate(names)
    return "".join(f", ({column} #> %(path_{n})s::text[])::text as inner_{n}" for n, name in found if _is_inner(name))


def inner_values(names: Sequence[str]) -> dict[str, object]:
    """Return the values of the placeholders in these columns."""
    return {f"path_{number}": list(parse_path(name)) for number, name in enumerate(names) if _is_inner(name)}


def data_conditions(column: str, conditions: Sequence[DataCondition]) -> list[str]:
    """Return the conditions as SQL."""
    return [f"{column} #>> %(data_path_{n})s::text[] = %(data_value_{n})s" for n in range(len(conditions))]


def data_values(conditions: Sequence[DataCondition]) -> dict[str, object]:
    """Return the values of the placeholders in these conditions."""
    found: dict[str, object] = {}
    for number, condition in enumerate(conditions):
        found |= {f"data_path_{number}": list(condition.path), f"data_value_{number}": condition.value}
    return found


def project(item: msgspec.Struct, row: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return the named members of an item; one inside the payload is null where there is no such value."""
    found: dict[str, Any] = {}
    for number, name in enumerate(names):
        if _is_inner(name):
            found[name] = None if row[f"inner_{number}"] is None else msgspec.Raw(row[f"inner_{number}"])
        else:
            found[name] = getattr(item, name)
    return found


def _is_inner(name: str) -> bool:
    return name.startswith(DATA)
