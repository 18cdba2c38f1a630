"""Errors of replays and redrives."""

from __future__ import annotations


class ReplayError(Exception):
    """A replay that can't be started or finished; the message says why, and what to do."""
