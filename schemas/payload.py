"""The base of event types: a pydantic model of the payload."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict


class Payload(BaseModel):
    """The payload of one event type, its rules written as pydantic fields.

    ```python
    class Pageview(Payload, category="page interaction", name="pageview"):
        host: str
        path: str
    ```

    Values are taken as sent, never converted, and a field that is not declared is an `unknown_field`; `model_config`
    can change both. A subclass without a category is a base for others, not an event type.
    """

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    event_category: ClassVar[str | None] = None
    event_name: ClassVar[str | None] = None
    event_version: ClassVar[int] = 1

    def __init_subclass__(
        cls, *, category: str | None = None, name: str | None = None, version: int = 1, **config: Any
    ) -> None:
        super().__init_subclass__(**config)
        if (category is None) != (name is None):
            raise TypeError(f"{cls.__name__}: an event type has both a category and a name")
        cls.event_category, cls.event_name, cls.event_version = category, name, version


class AnyPayload(Payload):
    """Any JSON object: the rules of unknown types, if the settings accept those."""

    model_config = ConfigDict(extra="allow")
