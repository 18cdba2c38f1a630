"""A chunk: a run of records of one partition, with the range of offsets it covers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from schemas.record import RawRecord


@dataclass(frozen=True, slots=True)
class Chunk:
    """A run of records of one partition, in order.

    It covers the offsets from `start` up to, but without, `next_offset`. There may be fewer records than
    offsets: transaction markers, compacted and expired records have an offset too.
    """

    topic: str
    partition: int
    start: int
    next_offset: int
    records: Sequence[RawRecord]


def split(chunk: Chunk, most: int | None) -> tuple[Chunk, Chunk | None]:
    """Split a chunk after its first `most` records; the second part is None when there are no more."""
    if most is None or len(chunk.records) <= most:
        return chunk, None
    border = chunk.records[most].offset
    first = replace(chunk, next_offset=border, records=chunk.records[:most])
    return first, replace(chunk, start=border, records=chunk.records[most:])
