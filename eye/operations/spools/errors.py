"""Errors of commands on spools."""

from __future__ import annotations


class SpoolError(Exception):
    """Events of a spool can't be read or sent; the message says why and what to do."""
