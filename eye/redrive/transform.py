"""A transformation of events: steps that set, remove or rename what JSON pointers (RFC 6901) name."""

from __future__ import annotations

import copy
import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from eye.runs.errors import ReplayError

FIXED = ("session_id", "event_id")
"""Fields that identify an event and choose its partition; no step may change them."""


class Step(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One step: `set` has a `value`, `rename` the pointer it goes `to`. Where there is nothing it does nothing."""

    op: Literal["set", "remove", "rename"]
    path: str
    value: Any = msgspec.UNSET
    to: str | None = None


class _Steps(msgspec.Struct, forbid_unknown_fields=True):
    steps: list[Step]


def read_steps(file: Path) -> list[Step]:
    """Read a file of steps: a list in JSON, `[[steps]]` in TOML. Raises ReplayError, naming what is wrong."""
    try:
        if file.suffix == ".toml":
            return _checked(msgspec.convert(tomllib.loads(file.read_text()), _Steps).steps)
        return _checked(msgspec.json.decode(file.read_bytes(), type=list[Step]))
    except (msgspec.MsgspecError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ReplayError(f"{file} is no list of steps (op is set, remove or rename): {error}") from error


def parse_steps(text: str) -> list[Step]:
    """Read a list of steps in JSON. Raises ReplayError, naming what is wrong."""
    try:
        return _checked(msgspec.json.decode(text, type=list[Step]))
    except (msgspec.MsgspecError, UnicodeEncodeError) as error:
        raise ReplayError(f"this is no list of steps (op is set, remove or rename): {error}") from error


def transform(event: Any, steps: Sequence[Step]) -> Any:
    """Return an event after all steps; the one given stays as it is."""
    event = copy.deepcopy(event)
    for step in steps:
        parent, name = _find(event, step.path)
        match step.op:
            case "set":
                _put(parent, name, copy.deepcopy(step.value))
            case "remove" if _has(parent, name):
                del parent[_place(parent, name)]
            case "rename" if _has(parent, name):
                assert step.to is not None, "the steps were checked"
                target, new_name = _find(event, step.to)
                if isinstance(target, dict | list):
                    value = parent.pop(_place(parent, name))
                    _put(target, new_name, value)
            case _:
                pass
    return event


def _checked(steps: list[Step]) -> list[Step]:
    for step in steps:
        _check(step)
    return steps


def _check(step: Step) -> None:
    for pointer in (step.path, *([step.to] if step.to is not None else [])):
        if not pointer.startswith("/"):
            raise ReplayError(f"{pointer!r} is no JSON pointer: it begins with /")
        if pointer.split("/")[1] in FIXED:
            raise ReplayError(f"{pointer} can't be changed: it makes the event this one")
    if (step.op == "set") == (step.value is msgspec.UNSET) or (step.op == "rename") == (step.to is None):
        raise ReplayError(f"{json.dumps(step.path)}: set has a value, rename has to, remove has neither")


def _find(event: Any, pointer: str) -> tuple[Any, str]:
    """Return what holds the last part of a pointer, None where there is nothing, and that part."""
    *parts, last = (part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:])
    for part in parts:
        event = event[_place(event, part)] if _has(event, part) else None
    return event, last


def _has(holder: Any, name: str) -> bool:
    if isinstance(holder, list):
        return name.isdecimal() and int(name) < len(holder)
    return isinstance(holder, dict) and name in holder


def _place(holder: Any, name: str) -> Any:
    return int(name) if isinstance(holder, list) else name


def _put(holder: Any, name: str, value: Any) -> None:
    if isinstance(holder, list) and name == "-":
        holder.append(value)
    elif isinstance(holder, dict) or _has(holder, name):
        holder[_place(holder, name)] = value
