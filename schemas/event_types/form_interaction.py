"""Events of forms."""

from typing import Any

from schemas.payload import Payload


class Submit(Payload, category="form interaction", name="submit"):
    """A form was sent; `form` holds its fields by name."""

    host: str
    path: str
    form: dict[str, Any]
