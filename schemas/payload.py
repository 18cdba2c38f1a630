"""The base of event types: a pydantic model of the payload."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core.core_schema import DecimalSchema

from schemas.timestamp import parse_timestamp


class Payload(BaseModel):
    """The payload of one event type, its rules written as pydantic fields.

    ```python
    class Pageview(Payload, category="page interaction", name="pageview"):
        host: str
        path: str
    ```

    Values are taken as sent, never converted, and a field that is not declared is an `unknown_field`; `model_config`
    can change both. A subclass without a category is a base for others, not an event type.

    `default` and `default_since` state which version judges events that name none. `owner`, `deprecated` (a sentence,
    or True) and `examples` (payloads) are for the people who read the catalogue; an owner holds for subclasses as well.
    """

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    event_category: ClassVar[str | None] = None
    event_name: ClassVar[str | None] = None
    event_version: ClassVar[int] = 1
    event_default: ClassVar[bool] = False
    event_default_since: ClassVar[tuple[datetime, ...]] = ()
    event_owner: ClassVar[str | None] = None
    event_deprecated: ClassVar[bool | str] = False
    event_examples: ClassVar[tuple[dict[str, Any], ...]] = ()

    def __init_subclass__(
        cls,
        *,
        category: str | None = None,
        name: str | None = None,
        version: int = 1,
        default: bool = False,
        default_since: str | Sequence[str] = (),
        owner: str | None = None,
        deprecated: bool | str = False,
        examples: Sequence[dict[str, Any]] = (),
        **config: Any,
    ) -> None:
        super().__init_subclass__(**config)
        if (category is None) != (name is None):
            raise TypeError(f"{cls.__name__}: an event type has both a category and a name")
        moments = (default_since,) if isinstance(default_since, str) else tuple(default_since)
        cls.event_category, cls.event_name, cls.event_version = category, name, version
        cls.event_default, cls.event_default_since = default, tuple(map(parse_timestamp, moments))
        cls.event_owner = owner or cls.event_owner
        cls.event_deprecated, cls.event_examples = deprecated, tuple(examples)


class AnyPayload(Payload):
    """Any JSON object: the rules of unknown types, if the settings accept those."""

    model_config = ConfigDict(extra="allow")


class PayloadJsonSchema(GenerateJsonSchema):
    """The JSON Schema of a payload, with the digits and scale of a Decimal.

    Text has them as a pattern. A number has them as `x-max-digits` and `x-decimal-places`: `multipleOf: 0.01` would be
    held against 1.15 by validators that divide floats.
    """

    def decimal_schema(self, schema: DecimalSchema) -> JsonSchemaValue:
        """Return pydantic's schema, a number or text, with digits and scale."""
        found = super().decimal_schema(schema)
        limits = {"x-max-digits": schema.get("max_digits"), "x-decimal-places": schema.get("decimal_places")}
        for alternative in found.get("anyOf", []):
            if alternative["type"] == "number":
                alternative |= {name: limit for name, limit in limits.items() if limit is not None}
        return found

    def get_decimal_pattern(self, schema: DecimalSchema) -> str | None:
        """Return the pattern of a Decimal's text; None where it has no limits."""
        if schema.get("max_digits") is None and schema.get("decimal_places") is None:
            return None
        return self.build_decimal_pattern(schema)
