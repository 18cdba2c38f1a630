"""A fake of aiokafka's batch, for tests of what fills one."""

from __future__ import annotations

from typing import Any


class Batch:
    """A batch that takes ten records."""

    def __init__(self) -> None:
        self.values: list[bytes] = []

    def append(self, *, value: bytes, **_: Any) -> object:
        if len(self.values) == 10:
            return None
        self.values.append(value)
        return value
