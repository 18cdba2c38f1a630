"""Positions of a listener: the next offset of each partition of both topics, as a text for `Last-Event-ID`."""

from __future__ import annotations

import re
from collections.abc import Mapping

from aiokafka import TopicPartition

from schemas.topics import Topics

_TEXT = re.compile(r"(\d{1,18}(?:\.\d{1,18}){0,4095})-(\d{1,18}(?:\.\d{1,18}){0,4095})", re.ASCII)

Positions = dict[TopicPartition, int]


def encode_positions(positions: Mapping[TopicPartition, int], topics: Topics) -> str:
    """Return the offsets as text: those of `events.validated`, then those of `events.rejected`, by partition."""
    return f"{_offsets(positions, topics.validated)}-{_offsets(positions, topics.rejected)}"


def decode_positions(text: str, topics: Topics) -> Positions:
    """Read such a text. Raises ValueError."""
    parts = _TEXT.fullmatch(text)
    if parts is None:
        raise ValueError("the id of no event of this stream")
    return {
        TopicPartition(topic, number): int(offset)
        for topic, offsets in zip((topics.validated, topics.rejected), parts.groups(), strict=True)
        for number, offset in enumerate(offsets.split("."))
    }


def _offsets(positions: Mapping[TopicPartition, int], topic: str) -> str:
    known = {tp.partition: offset for tp, offset in positions.items() if tp.topic == topic}
    return ".".join(str(known.get(number, 0)) for number in range(max(known, default=0) + 1))
