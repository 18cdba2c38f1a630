"""The page of settings, from `schemas.settings.Settings`."""

from __future__ import annotations

from typing import Any

from docs.generate.markdown import code, page, table
from schemas.settings import SECRETS_DIR, Settings

_BOUNDS = {
    "minimum": "at least {}",
    "exclusiveMinimum": "more than {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "less than {}",
}


def settings_page() -> str:
    """Return the page: each variable with its default, what it accepts and its meaning."""
    schema = Settings.model_json_schema()
    properties = schema["properties"]
    rows = [
        [f"`EYE_{name.upper()}`", code(_default(field.default)), _accepted(properties[name]), field.description or ""]
        for name, field in Settings.model_fields.items()
    ]
    return page(
        "Settings",
        "Environment variables, read once when a process starts. `eye doctor` prints the effective ones."
        " They are defined in `schemas/settings.py` and `schemas/kafka_settings.py`.",
        table(["variable", "default", "accepts", "meaning"], rows),
        f"A setting without a variable is read from a file of the variable's name in `{SECRETS_DIR}`, or in the"
        " directory"
        " that the variable EYE_SECRETS_DIR names.",
    )


def _default(value: Any) -> str:
    if value is None:
        return ""
    return ",".join(value) if isinstance(value, list) else str(value)


def _accepted(schema: dict[str, Any]) -> str:
    kinds = [kind for kind in schema.get("anyOf", [schema]) if kind.get("type") != "null"]
    return " or ".join(filter(None, map(_accepted_kind, kinds)))


def _accepted_kind(schema: dict[str, Any]) -> str:
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    bounds = [text.format(f"{schema[name]:g}" if isinstance(schema[name], float) else schema[name])
              for name, text in _BOUNDS.items() if name in schema]  # fmt: skip
    names = {"integer": "integer", "number": "number", "boolean": "`true`, `false`", "array": "list"}
    kind = names.get(schema.get("type", ""), "path" if schema.get("format") == "path" else "text")
    return ", ".join([kind, *bounds])
