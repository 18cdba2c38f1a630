"""A stored position, held against what its partition still has."""

from __future__ import annotations

import logging

log = logging.getLogger(__name__)


class PositionLost(Exception):
    """A stored position that the partition can't have led to; the message says what to do."""


def within(where: str, position: int | None, bounds: tuple[int, int]) -> int:
    """Return the offset to go on from: the position, or the earliest offset where there is none.

    `bounds` are the partition's earliest offset and its end. What expired before it was read is logged and
    left out. Raises PositionLost for a position beyond the end: the topic was made anew.
    """
    earliest, end = bounds
    if position is None:
        return earliest
    if position > end:
        raise PositionLost(
            f"{where}: the position is {position}, but the partition ends at {end}; if the topic was made anew,"
            " the stored position has to be reset"
        )
    if position < earliest:
        log.error("%s: offsets %d to %d have expired unread", where, position, earliest - 1)
    return max(position, earliest)
