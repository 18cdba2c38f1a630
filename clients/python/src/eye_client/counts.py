"""Counts of a client's events by their results."""

from __future__ import annotations

from typing import NamedTuple


class Counts(NamedTuple):
    """Events of this process since it began, or was forked."""

    ok: int
    """Durable at the gateway."""
    refused: int
    """Refused by the gateway for good: `invalid` or `too_large`."""
    dropped: dict[str, int]
    """Given up by the client, by reason."""
    waiting: int
    """In its queues; of a queue on disk all events, whichever process sent them."""
