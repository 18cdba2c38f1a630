"""Texts and tables as every page writes them: payloads as text alone, times with their zone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from nicegui import ui

_LINK = """<q-td :props="props"><a v-if="props.value"
:href="'%s' + encodeURIComponent(props.value)">{{ props.value }}</a></q-td>"""


def when(moment: str | datetime | None) -> str:
    """Write a time, as the gateway has it, for people: in UTC, with milliseconds."""
    if not moment:
        return ""
    time = moment if isinstance(moment, datetime) else datetime.fromisoformat(moment.replace("Z", "+00:00"))
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}"[:-3] + " UTC"


def duration(seconds: float) -> str:
    """Write a span of time with its unit."""
    if abs(seconds) < 120:
        return f"{seconds:.3f} s" if abs(seconds) < 10 else f"{seconds:.0f} s"
    if abs(seconds) < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def pretty(value: Any) -> str:
    """Write JSON, given as text or as a value, one member a line; text that is no JSON stays as it is."""
    try:
        return sendable(
            json.dumps(json.loads(value) if isinstance(value, str) else value, indent=2, ensure_ascii=False)
        )
    except (ValueError, RecursionError):
        return str(value)


def sendable(text: str) -> str:
    """Return a text without lone surrogates, which JSON may have and UTF-8 has not."""
    return text.encode("utf-8", "replace").decode()


def table(
    columns: Mapping[str, str],
    rows: Sequence[Mapping[str, str | int | float]],
    links: Mapping[str, str] | None = None,
    *,
    key: str = "#",
    per_page: int = 50,
    selection: Any = None,
) -> ui.table:
    """Show rows, whose cells are text or numbers; `columns` gives titles, `links` the address that a cell ends."""
    defined = [
        {"name": name, "label": label, "field": name, "align": "left", "sortable": True}
        for name, label in columns.items()
    ]
    numbered = [{"#": number, **row} for number, row in enumerate(rows)]
    shown = ui.table(columns=defined, rows=numbered, row_key=key, pagination=per_page, selection=selection)
    shown.props("dense flat bordered").classes("eye-wide")
    for name, address in (links or {}).items():
        shown.add_slot(f"body-cell-{name}", _LINK % address)
    return shown


def text_block(text: str) -> ui.label:
    """Show a payload as text, in its own lines."""
    return ui.label(text).classes("eye-text eye-wide")
