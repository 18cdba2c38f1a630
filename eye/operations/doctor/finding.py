"""The result of one check of `eye doctor`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: whether it is right, what was seen, and what to do when it is wrong."""

    what: str
    ok: bool
    seen: str
    mend: str = ""
