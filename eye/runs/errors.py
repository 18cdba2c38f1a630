"""Errors of replays and redrives."""

from __future__ import annotations


class ReplayError(Exception):
    """A replay that can't be done, or not to its end; the message says why, and what to do."""
