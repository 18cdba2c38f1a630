"""A record on its way to `events.raw`."""

from __future__ import annotations

from typing import NamedTuple

RECORD_OVERHEAD = 300
"""Bytes a record takes apart from its value, roughly."""


class OutgoingRecord(NamedTuple):
    """A record for `events.raw`; `timestamp` in milliseconds since 1970."""

    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]
    timestamp: int
