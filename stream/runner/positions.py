"""Check a stored position against the offsets that its partition still has."""

from __future__ import annotations

import logging

log = logging.getLogger(__name__)


class PositionLost(Exception):
    """A stored position beyond the partition's end; the message says what to do."""


def clamp_position(where: str, position: int | None, bounds: tuple[int, int]) -> int:
    """Return the offset to go on from: the position, or the earliest offset without one.

    `bounds` are the partition's earliest offset and its end. Offsets that expired unread are logged and skipped.
    Raises PositionLost for a position beyond the end, which means that the topic was created again.
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
