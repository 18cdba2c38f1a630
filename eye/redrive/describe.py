"""An event of a redrive's dry run in lines: what was wrong, and before and after as a difference."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from typing import Any

_CONTEXT_LINES = 2
_MOST_CHARACTERS = 400


def describe(sample: dict[str, Any]) -> Iterator[str]:
    """Yield the lines that describe one event of a dry run; those of its difference begin with +, - or @."""
    yield f"{sample['event_id']} of {sample['application']}"
    yield f"  was rejected ({', '.join(sample['codes'])}), becomes {sample['becomes']}"
    for error in sample.get("errors_now", ()):
        yield f"  {error['code']} at {error['path']}: {error['message']}"
    if "before" in sample:
        before, after = _lines(sample["before"]), _lines(sample["after"])
        yield from list(difflib.unified_diff(before, after, n=_CONTEXT_LINES, lineterm=""))[2:]
        if before == after:
            yield "  the steps change nothing in it"


def _lines(event: str) -> list[str]:
    """Write an event one member a line; text that is no JSON stays one line, cut where it is long."""
    try:
        return json.dumps(json.loads(event), indent=2, ensure_ascii=False).splitlines()
    except (ValueError, RecursionError):
        return [event[:_MOST_CHARACTERS]]
