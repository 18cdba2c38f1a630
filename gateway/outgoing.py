"""A record for `events.raw`, and its outcome."""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple

RECORD_OVERHEAD = 300
"""Bytes a record takes apart from its value, roughly."""


class OutgoingRecord(NamedTuple):
    """A record for `events.raw`; `timestamp` in milliseconds since 1970."""

    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]
    timestamp: int


class Outcome(Enum):
    """The outcome of a record: durable in Kafka or the spool, to be sent again, or too large for the topic."""

    DURABLE = auto()
    RETRY = auto()
    TOO_LARGE = auto()
