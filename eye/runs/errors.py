"""What keeps a replay from being done."""

from __future__ import annotations


class ReplayError(Exception):
    """A replay that can't be done, or not to its end; the message says why, and what to do."""
