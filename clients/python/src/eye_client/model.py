"""Payloads as pydantic models of the catalogue. pydantic itself is not imported: the model brings it."""

from __future__ import annotations

from typing import Any

import msgspec

from eye_client.results import Violation


class ModelError(Exception):
    """A payload that its own model refuses."""

    def __init__(self, violations: tuple[Violation, ...]) -> None:
        super().__init__("; ".join(violation.message for violation in violations))
        self.violations = violations


def payload_of(payload: Any) -> msgspec.Raw:
    """Return a model's JSON, checked by the model's rules. Raises ModelError where it breaks one, or is no event type.

    An instance may have been changed, or made without a check, since it was validated.
    """
    kind = type(payload)
    if not getattr(kind, "event_category", None) or not hasattr(kind, "model_validate_json"):
        message = f"{kind.__name__} is no event type: a subclass of Payload with category and name"
        raise ModelError((Violation("unknown_event_type", "$", message),))
    try:
        data: str = payload.model_dump_json(warnings=False)
        kind.model_validate_json(data)
    except ValueError as error:  # pydantic's ValidationError is one, and so is what it can't write
        raise ModelError(_violations(error)) from error
    return msgspec.Raw(data.encode())


def _violations(error: ValueError) -> tuple[Violation, ...]:
    errors = getattr(error, "errors", None)
    if errors is None:
        return (Violation("not_json", "$.data", str(error)),)
    found = errors(include_url=False, include_context=False, include_input=False)
    return tuple(Violation(one["type"], ".".join(("$.data", *map(str, one["loc"]))), one["msg"]) for one in found)
